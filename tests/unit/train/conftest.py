import os

# Before XGBoost is loaded: OpenMP threads that wait by spinning make a fit many times slower on shared processors.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
