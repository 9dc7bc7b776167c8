"""From drawn people to a photograph: the camera and the photo's borders, what is behind and in front, the sensor and the file."""
