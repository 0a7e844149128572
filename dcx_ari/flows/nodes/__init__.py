"""The node types of a flow document: one small file each, its parsed form and what it does on a call."""
