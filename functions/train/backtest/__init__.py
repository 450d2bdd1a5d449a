"""`fraud backtest`: what a model would have been worth on somebody's own file of labelled transactions."""
