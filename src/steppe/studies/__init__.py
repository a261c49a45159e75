"""Published studies, and steppe's own, each one object of `steppe.study.Study`."""
