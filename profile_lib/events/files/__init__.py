"""Find, check and open the files of a source, whatever their name says."""
