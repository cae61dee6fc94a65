"""Core ML's ML Programs, read from the saved package and evaluated with numpy: no coremltools, no macOS.

``wire`` and ``model`` read the protobuf, ``blob`` and ``packing`` the weight file, ``values`` and ``constants`` make
arrays of both, ``ops`` holds what each operation computes, ``executor`` runs a program, ``package`` opens the folder.
"""
