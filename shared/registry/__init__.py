"""The model registry as those who score see it: which version an alias names, and its serving bundle.

Speaks MLflow's REST API directly: importing ``mlflow`` takes seconds, which a function's cold start does not have.
"""
