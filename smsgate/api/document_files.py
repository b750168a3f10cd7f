"""Documents as files over HTTP: the page, and its XML in three syntaxes; one set of routes for each kind."""

from __future__ import annotations

from typing import Final, NamedTuple

from smsgate.api.context import ApiContext
from smsgate.api.routing import Answer, Call, Route, Text, missing
from smsgate.billing.documents import DocumentType
from smsgate.flows.documents import StoredDocument
from smsgate.flows.invoicing import Invoicing
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind


class _Form(NamedTuple):
    media_type: str
    extension: str
    title: str


FORMS: Final = {
    "pdf": _Form("application/pdf", "pdf", "{} as Factur-X"),
    "xml": _Form("application/xml", "xml", "{} as CII"),
    "ubl": _Form("application/xml", "ubl.xml", "{} as UBL"),
    "peppol": _Form("application/xml", "peppol.xml", "{} as Peppol BIS Billing 3"),
}


def invoicing_in(context: ApiContext) -> Invoicing:
    assert context.invoicing is not None
    return context.invoicing


async def document_of(call: Call, *doc_types: DocumentType) -> StoredDocument:
    """
    Return the document of the path.

    Raises:
        NotFound: the merchant has none of this id, or it is of another kind.
    """
    documents = invoicing_in(call.context).documents
    document = await documents.get(call.merchant_id, call.path_id(Kind.DOCUMENT))
    if document.row.doc_type not in doc_types:
        raise missing()
    return document


def file_routes(path: str, name: str, title: str, *doc_types: DocumentType) -> tuple[Route, ...]:
    """
    Return the routes of a kind's files; `name` is the kind's in operation ids.

    They stand before the JSON form of the kind: its pattern would take the suffix for a part of the id.
    """
    return tuple(_route(path, name, title, form, *doc_types) for form in FORMS)


def _route(path: str, name: str, title: str, form: str, *doc_types: DocumentType) -> Route:
    told = FORMS[form]

    async def download(call: Call) -> Answer:
        document = await document_of(call, *doc_types)
        octets = await invoicing_in(call.context).files.make(document, form)
        file_name = f"{document.row.number.replace('/', '-')}.{told.extension}"
        headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
        return Text(octets, told.media_type, headers)

    download.__name__ = f"get_{name}_{form}"
    return Route(
        "GET",
        f"{path}/{{id}}.{form}",
        download,
        told.title.format(title),
        Scope.BILLING_READ,
        media_type=told.media_type,
    )
