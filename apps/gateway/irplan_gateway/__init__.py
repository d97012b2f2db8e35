"""The gateway: a DICOM node with a review gate. Research use only."""
