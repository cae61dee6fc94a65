"""RunRecords in; Markdown, CSV and one self-contained HTML page out. Pure: equal input, equal bytes.

=================  ==========================================================================
``collect``        find the records, name the rows, refuse what does not belong together
``pareto``         which points no other point beats
``compare``        each artifact beside its float backbone
``verdict``        what the numbers mean, in sentences
``tables``         artifacts, speed, F1 drop per class
``confusion``      confusion matrices
``provenance``     environment, rows, hashes, lineage
``plots``          the same numbers drawn, as SVG
``svg``            what makes a figure fit to stand inside a page
``labelling``      names beside points
``definitions``    what the words mean
``words``          numbers as text
``sheet``          the same numbers as CSV
``page``           all of it in one page, rendered as Markdown and HTML
``write``          all files or none
=================  ==========================================================================
"""
