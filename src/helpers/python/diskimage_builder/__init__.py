"""The part of diskimage_builder that element scripts import."""
