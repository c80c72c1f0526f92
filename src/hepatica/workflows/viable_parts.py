"""Which part of each tumour lives: from a label, or from two phases."""

from __future__ import annotations

from hepatica.anatomy.assemble import AssembledAnatomy
from hepatica.anatomy.structures import Anatomy, StructureKind
from hepatica.core.findings import Finding, NotEvaluable
from hepatica.core.progress import Progress
from hepatica.lesions.describe import read_lesion_tables
from hepatica.lesions.instances import split_segments
from hepatica.lesions.lesion import ViablePart
from hepatica.workflows.read_case import Case
