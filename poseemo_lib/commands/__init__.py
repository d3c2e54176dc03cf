"""The commands of `poseemo`, thin: they read arguments, call the library and print."""
