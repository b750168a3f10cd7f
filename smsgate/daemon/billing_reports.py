"""Reports of billing for a process or a command, by its configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from smsgate.billing.networks import default_table
from smsgate.campaigns.retention import kept
from smsgate.config import Settings
from smsgate.config.carrier_files import CarrierFileSettings
from smsgate.daemon.services import Services
from smsgate.flows.bill_files import Packer
from smsgate.flows.bill_uploads import BillTerms, BillUploads
from smsgate.flows.billing_reports import BillingReports
from smsgate.flows.document_exports import DocumentExports
from smsgate.flows.document_proof import DocumentProofs
from smsgate.flows.documents import Documents
from smsgate.flows.explaining import Explaining
from smsgate.flows.exporting import Exporting
from smsgate.flows.margins import Margins
from smsgate.flows.pricing import Pricing
from smsgate.flows.reconciling import Reconciling
from smsgate.flows.repricing import Repricing
from smsgate.flows.usage_files import UsageFiles
from smsgate.links.profile import CarrierProfile
from smsgate.security.proof_chain import ProofKey
from smsgate.security.public_ids import Kind
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.document_proof import PgDocumentProofs
from smsgate.store.document_records import PgDocumentRecords
from smsgate.store.explaining import PgExplaining
from smsgate.store.issued import PgDocuments
from smsgate.store.margins import PgMargins
from smsgate.store.offers import PgOffers
from smsgate.store.portability import PgPortability
from smsgate.store.privacy import erasures_of
from smsgate.store.reconciling import PgReconciling
from smsgate.store.repricing import PgRepricing
from smsgate.store.usage import PgPriceData
from smsgate.store.usage_records import PgUsageRecords

USAGE_FILES: Final = "usage_files"  # below state_dir: months that are being downloaded
DISPUTE_PACKS: Final = "dispute_packs"  # below state_dir


def reports_of(
    settings: Settings,
    services: Services,
    pricing: Pricing | None = None,
    carriers: Callable[[], Sequence[CarrierProfile]] | None = None,
) -> BillingReports:
    """`carriers` are those of this moment, in a process that follows its configuration."""
    carriers = carriers or (lambda: settings.carriers)
    database, public_ids = services.database, services.public_ids
    pricing = pricing or Pricing(PgPriceData(database), services.clock)
    ported, networks = PgPortability(database), default_table()
    reconciling = Reconciling(PgReconciling(database), ported, networks, services.clock, services.ids.next)
    return BillingReports(
        explaining=Explaining(
            PgExplaining(database, partial(public_ids.encode, Kind.POSTING)),
            public_ids,
            settings.billing.seller(),
        ),
        reconciling=reconciling,
        bills=BillUploads(
            reconciling,
            pricing,
            partial(bill_terms, settings, carriers),
            packer_of(settings, services),
            settings.node.state_dir / DISPUTE_PACKS,
            kept("dispute_pack"),
            services.clock,
        ),
        margins=Margins(PgMargins(database), pricing, services.clock, partial(_cost_lists, carriers)),
        usage_files=UsageFiles(
            Exporting(PgUsageRecords(database), public_ids),
            PgOffers(database).merchant,
            settings.node.state_dir / USAGE_FILES,
            kept("usage_file"),
            services.clock,
            partial(erasures_of, database),
        ),
        budgets=PgBudgets(database, services.ids.next),
        document_exports=DocumentExports(PgDocumentRecords(database, public_ids.encode)),
    )


def repricing_of(settings: Settings, services: Services) -> Repricing:
    database = services.database
    return Repricing(
        PgRepricing(database, partial(services.public_ids.encode, Kind.CAMPAIGN)),
        PgMargins(database),
        Pricing(PgPriceData(database), services.clock),
        PgPortability(database),
        default_table(),
        settings.billing.seller(),
        services.clock,
    )


def document_proofs_of(settings: Settings, services: Services) -> DocumentProofs:
    database, public_ids = services.database, services.public_ids
    return DocumentProofs(
        PgDocumentProofs(database),
        Documents(PgDocuments(database), settings.billing.seller(), services.clock, services.ids.next),
        Exporting(PgUsageRecords(database), public_ids),
        PgOffers(database).merchant,
        public_ids,
        services.clock,
        ProofKey(services.proof_key),
    )


def packer_of(settings: Settings, services: Services) -> Packer:
    name = settings.billing.name or settings.node.shown_name
    return Packer(ProofKey(services.proof_key), name, services.public_ids)


def _cost_lists(carriers: Callable[[], Sequence[CarrierProfile]]) -> set[str]:
    return {profile.cost_list for profile in carriers() if profile.cost_list is not None}


def bill_terms(
    settings: Settings, carriers: Callable[[], Sequence[CarrierProfile]], name: str
) -> BillTerms | None:
    """Return how a carrier bills; without a table of its own by the names of columns alone."""
    cost_list = next((profile.cost_list for profile in carriers() if profile.name == name), None)
    if cost_list is None:
        return None
    files = {each.carrier: each for each in settings.billing.carrier_files}
    file = files.get(name, CarrierFileSettings(carrier=name))
    return BillTerms(file.timezone, file.terms(), file.tolerance(), cost_list)
