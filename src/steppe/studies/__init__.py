"""Published studies, each one object of `steppe.study.Study`."""
