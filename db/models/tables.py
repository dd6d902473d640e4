"""Every table of the catalog, imported together, so that its metadata is whole."""

from db.models.base import Base
from db.models.corrections import CorrectionSlot, CorrectionVersion, Merge
from db.models.patches import Comment, Draft, Hold, Patch, Review
from db.models.people import BrowserSession, Person, SavedView
from db.models.proposals import Proposal
from db.models.sharing import Bundle, Export, ExportPatch, Score
from db.models.volumes import DataRoot, Dataset, Permission, Segmentation, Tomogram
from db.models.work import Backup, Event, Fact, Host, Job, JobEvent, Worker

__all__ = [
    "Backup",
    "BrowserSession",
    "Bundle",
    "Comment",
    "CorrectionSlot",
    "CorrectionVersion",
    "DataRoot",
    "Dataset",
    "Draft",
    "Event",
    "Export",
    "ExportPatch",
    "Fact",
    "Hold",
    "Host",
    "Job",
    "JobEvent",
    "Merge",
    "Patch",
    "Permission",
    "Person",
    "Proposal",
    "Review",
    "SavedView",
    "Score",
    "Segmentation",
    "Tomogram",
    "Worker",
    "metadata",
]

metadata = Base.metadata
