"""Core ML's ML Programs, read from the saved package and evaluated with numpy: no coremltools, no macOS.

``model`` reads the protobuf, ``blob`` and ``packing`` the weight file, ``values`` and ``ops.constants`` make arrays of
both, ``ops`` holds what each operation computes, ``executor`` runs a program, ``package`` opens the folder.
"""
