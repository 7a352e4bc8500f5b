"""The families of `tinynet.nn.functional`, which gathers them: one file each, composed of `ops`."""
