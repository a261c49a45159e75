"""What a curve costs, by each way of computing it, beside what the machine can do."""

from __future__ import annotations

from benchmarks.curve_cost.parts import PARTS as PARTS
from benchmarks.curve_cost.parts import run as run
from benchmarks.curve_cost.shapes import SHAPES as SHAPES
from benchmarks.curve_cost.table import Figure as Figure
from benchmarks.curve_cost.table import Report as Report
