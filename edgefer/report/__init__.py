"""RunRecords and gates in; Markdown, CSV, plots and one self-contained HTML page out. Pure: equal input, equal bytes.

=================  ==========================================================================
``collect``        find the records, name the rows, refuse what does not belong together
``pareto``         which points no other point beats
``compare``        each artifact beside its float backbone
``verdict``        what the numbers mean, in sentences
``tables``         artifacts, speed, F1 drop per class
``confusion``      confusion matrices
``gates``          gates: drops with intervals, flips, changed rows; ``gate_plots`` draws them
``pictures``       the faces whose class changed, from their owner's data
``provenance``     environment, rows, hashes, lineage
``plots``          the same numbers drawn
``svg``            a figure as SVG that fits inside a page, and as PNG
``labelling``      names beside points
``definitions``    what the words mean
``words``          numbers as text
``sheet``          the same numbers as CSV
``page``           all of it in one page, rendered as Markdown and HTML
``write``          all files or none
=================  ==========================================================================
"""
