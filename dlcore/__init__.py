"""dlcore: training and metrics for an executable companion to a thesis on the empirical study of deep learning.

config, runtime        strict hashed configurations; device, precision, seeds
data, noise, models    data sets, label noise, networks with named stages and scikit-learn families
training               the one training loop, resumable
metrics                pure functions of arrays; no torch
studies                one per finding: Config, presets, run(config) -> Record
records, records/      immutable records of runs; those shipped with the package
claims, figures        the ledger of claims; tables -> Altair charts; no torch
lab                    live panels of ipywidgets, in JupyterLab and Colab
notebook, sweep        notebooks by papermill; a study over a grid: this machine, Dask, SLURM
__main__               python -m dlcore run | sweep | record | claims | data | doctor
"""

__version__ = "0.1.0"
