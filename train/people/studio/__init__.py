"""The studio: slow, fine photographs of whole characters (6 s each), for test photos, documentation and landmark statistics."""
