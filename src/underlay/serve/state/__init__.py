"""What a server keeps: its answers, what people say of them, and a chain of entries that tells of everything."""

from underlay.serve.state.chain import Entry as Entry
from underlay.serve.state.checkpoints import AuditBroken as AuditBroken
from underlay.serve.state.erasing import LABELLED_DAYS as LABELLED_DAYS
from underlay.serve.state.erasing import RETAIN_DAYS as RETAIN_DAYS
from underlay.serve.state.erasing import Gone as Gone
from underlay.serve.state.erasing import erase as erase
from underlay.serve.state.erasing import purge as purge
from underlay.serve.state.exporting import Exported as Exported
from underlay.serve.state.exporting import export_feedback as export_feedback
from underlay.serve.state.failing import StoreFailed as StoreFailed
from underlay.serve.state.journal import Journal as Journal
from underlay.serve.state.opening import open_journal as open_journal
from underlay.serve.state.place import Place as Place
from underlay.serve.state.place import place_of as place_of
from underlay.serve.state.review_rules import ReviewRules as ReviewRules
from underlay.serve.state.reviews import list_items as list_items
from underlay.serve.state.store import Store as Store
from underlay.serve.state.store import read_only as read_only
from underlay.serve.state.transaction import Transaction as Transaction
from underlay.serve.state.verifying import Verified as Verified
from underlay.serve.state.verifying import verify_state as verify_state
