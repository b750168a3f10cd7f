"""
Names and forms of the TLVs of SMPP 3.4 §5.3 and SMPP 5.0 §4.8.4, for tools that show PDUs to people.

The codec keeps every TLV as octets, named here or not: vendors use 0x1400-0x3FFF and any other tag.
"""

from __future__ import annotations

from typing import Final, NamedTuple

NUMBER: Final = "number"  # unsigned, of as many octets as came
TEXT: Final = "text"  # C-octet string
OCTETS: Final = "octets"


class TlvForm(NamedTuple):
    """`form` is NUMBER, TEXT or OCTETS; how the specification wants the value, not how it came."""

    name: str
    form: str


TLV_FORMS: Final[dict[int, TlvForm]] = {
    0x0005: TlvForm("dest_addr_subunit", NUMBER),
    0x0006: TlvForm("dest_network_type", NUMBER),
    0x0007: TlvForm("dest_bearer_type", NUMBER),
    0x0008: TlvForm("dest_telematics_id", NUMBER),
    0x000D: TlvForm("source_addr_subunit", NUMBER),
    0x000E: TlvForm("source_network_type", NUMBER),
    0x000F: TlvForm("source_bearer_type", NUMBER),
    0x0010: TlvForm("source_telematics_id", NUMBER),
    0x0017: TlvForm("qos_time_to_live", NUMBER),
    0x0019: TlvForm("payload_type", NUMBER),
    0x001D: TlvForm("additional_status_info_text", TEXT),
    0x001E: TlvForm("receipted_message_id", TEXT),
    0x0030: TlvForm("ms_msg_wait_facilities", NUMBER),
    0x0201: TlvForm("privacy_indicator", NUMBER),
    0x0202: TlvForm("source_subaddress", OCTETS),
    0x0203: TlvForm("dest_subaddress", OCTETS),
    0x0204: TlvForm("user_message_reference", NUMBER),
    0x0205: TlvForm("user_response_code", NUMBER),
    0x020A: TlvForm("source_port", NUMBER),
    0x020B: TlvForm("destination_port", NUMBER),
    0x020C: TlvForm("sar_msg_ref_num", NUMBER),
    0x020D: TlvForm("language_indicator", NUMBER),
    0x020E: TlvForm("sar_total_segments", NUMBER),
    0x020F: TlvForm("sar_segment_seqnum", NUMBER),
    0x0210: TlvForm("sc_interface_version", NUMBER),
    0x0302: TlvForm("callback_num_pres_ind", NUMBER),
    0x0303: TlvForm("callback_num_atag", OCTETS),
    0x0304: TlvForm("number_of_messages", NUMBER),
    0x0381: TlvForm("callback_num", OCTETS),
    0x0420: TlvForm("dpf_result", NUMBER),
    0x0421: TlvForm("set_dpf", NUMBER),
    0x0422: TlvForm("ms_availability_status", NUMBER),
    0x0423: TlvForm("network_error_code", OCTETS),
    0x0424: TlvForm("message_payload", OCTETS),
    0x0425: TlvForm("delivery_failure_reason", NUMBER),
    0x0426: TlvForm("more_messages_to_send", NUMBER),
    0x0427: TlvForm("message_state", NUMBER),
    0x0428: TlvForm("congestion_state", NUMBER),
    0x0501: TlvForm("ussd_service_op", OCTETS),
    0x0600: TlvForm("broadcast_channel_indicator", NUMBER),
    0x0601: TlvForm("broadcast_content_type", OCTETS),
    0x0602: TlvForm("broadcast_content_type_info", OCTETS),
    0x0603: TlvForm("broadcast_message_class", NUMBER),
    0x0604: TlvForm("broadcast_rep_num", NUMBER),
    0x0605: TlvForm("broadcast_frequency_interval", OCTETS),
    0x0606: TlvForm("broadcast_area_identifier", OCTETS),
    0x0607: TlvForm("broadcast_error_status", NUMBER),
    0x0608: TlvForm("broadcast_area_success", NUMBER),
    0x0609: TlvForm("broadcast_end_time", TEXT),
    0x060A: TlvForm("broadcast_service_group", OCTETS),
    0x060B: TlvForm("billing_identification", OCTETS),
    0x060D: TlvForm("source_network_id", TEXT),
    0x060E: TlvForm("dest_network_id", TEXT),
    0x060F: TlvForm("source_node_id", OCTETS),
    0x0610: TlvForm("dest_node_id", OCTETS),
    0x0611: TlvForm("dest_addr_np_resolution", NUMBER),
    0x0612: TlvForm("dest_addr_np_information", OCTETS),
    0x0613: TlvForm("dest_addr_np_country", OCTETS),
    0x1201: TlvForm("display_time", NUMBER),
    0x1203: TlvForm("sms_signal", NUMBER),
    0x1204: TlvForm("ms_validity", OCTETS),
    0x130C: TlvForm("alert_on_message_delivery", OCTETS),
    0x1380: TlvForm("its_reply_type", NUMBER),
    0x1383: TlvForm("its_session_info", OCTETS),
}


def tlv_text(tag: int, value: bytes) -> str:
    """Return name and value for people; a value that has not the form of its tag is shown as octets."""
    form = TLV_FORMS.get(tag)
    if form is None:
        return f"0x{tag:04x} = {value.hex() or '(empty)'}"
    if form.form == NUMBER and 0 < len(value) <= 4:
        shown = str(int.from_bytes(value, "big"))
    elif form.form == TEXT:
        shown = repr(value.removesuffix(b"\0").decode("latin-1"))
    else:
        shown = value.hex() or "(empty)"
    return f"{form.name} (0x{tag:04x}) = {shown}"
