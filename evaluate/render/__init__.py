"""Pictures of suite meshes with their ground truth."""
