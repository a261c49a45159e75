"""What does a curve cost, by each way of computing it, beside what the machine can do?"""

from __future__ import annotations

from steppe.benchmark.parts import PARTS as PARTS
from steppe.benchmark.parts import run as run
from steppe.benchmark.shapes import SHAPES as SHAPES
from steppe.benchmark.table import Figure as Figure
from steppe.benchmark.table import Report as Report
