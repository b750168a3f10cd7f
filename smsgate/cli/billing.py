"""`smsgate billing`: from the price list to the invoice. Each command is imported when it is asked for."""

from __future__ import annotations

from typing import Final

import typer

from smsgate.cli.lazy import Command, lazy_group

COMMANDS: Final = (
    Command("rate", "billing_rate", "Say what one message would be charged and cost, and why.", "rate"),
    Command("explain", "billing_explain", "Say what a message was charged and cost, and why.", "explain"),
    Command("publish", "billing_publish", "Publish a rate sheet to a price list.", "publish"),
    Command("statement", "billing_statement", "Show a month's statement.", "statement"),
    Command("export", "billing_export", "Write a merchant's month as a file.", "export"),
    Command(
        "commitment", "billing_commitment", "Show or set the minimum of a merchant's months.", "commitment"
    ),
    Command("draft", "billing_draft", "Show what a month's invoice would say now.", "draft"),
    Command("close", "billing_issue", "Close a month and write its documents.", "close", "CLOSE_"),
    Command("invoice", "billing_issue", "List a merchant's documents, or show one.", "invoice", "INVOICE_"),
    Command("credit", "billing_issue", "Write a credit note.", "credit", "CREDIT_"),
    Command("reverse", "billing_issue", "Give charges of messages back.", "reverse", "REVERSE_"),
    Command("reconcile", "billing_reconcile", "Hold a carrier's bill against what we counted.", "reconcile"),
    Command("margins", "billing_margins", "Say what is left after carriers' costs.", "margins"),
    Command(
        "budget", "billing_budget", "Show what a merchant may still send for, or set it.", "budget", "BUDGET_"
    ),
    Command("topup", "billing_budget", "Book a payment to a merchant's balance.", "topup", "TOPUP_"),
    Command("refund", "billing_budget", "Pay back what is left of a balance.", "refund", "REFUND_"),
    Command("payout", "billing_payout", "Pay a merchant's premium month out.", "payout"),
    Command("fec", "billing_fec", "Write issued documents as accounting entries.", "fec"),
    Command("e-reporting", "billing_ereporting", "Show sales outside of French e-invoicing.", "e_reporting"),
    Command("verify", "billing_verify", "Prove prices, charges, ledger and documents.", "verify"),
    Command("proof", "billing_proof", "Write or check the proof file of an invoice.", "proof"),
    Command("document", "billing_document", "Make a document again from its stored payload.", "document"),
    Command("simulate", "billing_simulate", "Compute a case, or a month by another list.", "simulate"),
)

app: Final = typer.Typer(
    help="Billing: prices, statements, exports, documents and worked cases.",
    no_args_is_help=True,
    rich_markup_mode=None,
    cls=lazy_group(COMMANDS),
)


@app.callback()
def billing() -> None:
    pass
