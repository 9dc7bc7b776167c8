"""What the stages s02 (mask, landmarks) and s03 (fitted body) get wrong: measured on people whose truth is known, then imitated."""
