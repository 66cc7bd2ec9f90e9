"""What to change in a network where it breaks a guideline: edits of its graph, the most promising first.

An edit keeps the network whole: widths that must agree change together. Where it can, it leaves the multiply-adds as they are.
"""
