"""May an artifact take the place of its baseline? Both answer the same rows; statistics decide, or say they cannot.

==============  ==============================================================================
``contender``   an artifact or a float backbone that answers images
``rows``        which rows both answer, and that they are the same ones
``resampling``  what a difference could have been with other rows
``classes``     classes that were lost, or stand below a floor
``verdict``     pass, fail or underpowered, and how many rows would tell
``gate``        all of it in order
``record``      what is written down
==============  ==============================================================================
"""
