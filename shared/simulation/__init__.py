"""Deterministic card traffic with labelled fraud: a training history and a live stream from one core.

Read in this order: `config` (what can be set), `cities` and `categories` (the world as tables), `population` and
`merchants` (who buys where), `habits` (genuine purchases), `fraud` (the six patterns), `traffic` (all of it in blocks
of event time), then the two outputs: `history` (columns for training) and `stream` (deliveries for the live system).
"""
