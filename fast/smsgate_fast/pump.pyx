# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""
The compiled pump. `smsgate.protocol.columns` and `smsgate.store.copy_rows` are the reference: what is done here
gives the same, and whatever is not of the common form is left to them.

Sources: SMPP 3.4 §4.4.2 (submit_sm_resp), §4.6.1 (deliver_sm), Appendix B (receipt text); PostgreSQL
documentation, COPY, "Binary Format".
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_Check
from libc.string cimport memchr, memcmp, memcpy

ctypedef const unsigned char* octets

cdef enum:
    HEADER_SIZE = 16
    ID_MAX = 65  # octets of a message id, SMPP 3.4 §5.3.2.12 with its NUL
    TAG_RECEIPTED_MESSAGE_ID = 0x001E
    TAG_MESSAGE_STATE = 0x0427


cdef inline unsigned int u32(octets at) noexcept:
    return (<unsigned int>at[0] << 24) | (<unsigned int>at[1] << 16) | (<unsigned int>at[2] << 8) | at[3]


cdef inline octets past_c_string(octets at, octets end, Py_ssize_t most) noexcept:
    """Return what follows a C-octet string of at most `most` octets and its NUL; NULL: it is none."""
    cdef Py_ssize_t room = end - at
    if room > most + 1:
        room = most + 1
    if room <= 0:
        return NULL
    cdef octets nul = <octets>memchr(at, 0, room)
    return NULL if nul is NULL else nul + 1


cdef inline octets past(octets at, octets end, const char* literal, Py_ssize_t size) noexcept:
    if end - at < size or memcmp(at, literal, size) != 0:
        return NULL
    return at + size


cdef octets past_number(
    octets at, octets end, const char* label, Py_ssize_t size, Py_ssize_t least, Py_ssize_t most
) noexcept:
    """Return what follows a label and its digits; NULL: they are not there, or `at` is none."""
    cdef Py_ssize_t count = 0
    if at is not NULL:
        at = past(at, end, label, size)
    if at is NULL:
        return NULL
    while at < end and count < most and 48 <= at[0] <= 57:
        at += 1
        count += 1
    return at if count >= least else NULL


cdef inline bint is_letter(unsigned char each) noexcept:
    return 65 <= each <= 90 or 97 <= each <= 122


cdef bint read_receipt(octets body, octets stop, object number, object columns, object states):
    """Append a receipt of the common form to the columns; False, and nothing done, when it is of another."""
    cdef octets at = past_c_string(body, stop, 5)
    cdef octets text, text_id, word, error
    cdef Py_ssize_t id_size, word_size, error_size, tail
    cdef int round_
    for round_ in range(2):  # source and destination, ton and npi first
        if at is NULL or stop - at < 3:
            return False
        at = past_c_string(at + 2, stop, 20)
    if at is NULL or stop - at < 3 or at[0] & 0x7C != 4:  # esm_class: a receipt, no UDHI
        return False
    at = past_c_string(at + 3, stop, 16)
    if at is NULL:
        return False
    at = past_c_string(at, stop, 16)
    if at is NULL or stop - at < 6:
        return False
    text = at + 5
    cdef octets text_end = text + at[4]
    if text_end > stop:
        return False
    text_id = past(text, stop, b"id:", 3)
    if text_id is NULL:
        return False
    at = text_id
    while at < stop and at - text_id <= ID_MAX and at[0] != 32 and at[0] != 0:
        at += 1
    id_size = at - text_id
    if not 1 <= id_size <= ID_MAX:
        return False
    at = past_number(at, stop, b" sub:", 5, 1, 3)
    at = past_number(at, stop, b" dlvrd:", 7, 1, 3)
    at = past_number(at, stop, b" submit date:", 13, 10, 14)
    at = past_number(at, stop, b" done date:", 11, 10, 14)
    if at is not NULL:
        at = past(at, stop, b" stat:", 6)
    if at is NULL:
        return False
    word = at
    while at < stop and at - word < 13 and is_letter(at[0]):
        at += 1
    word_size = at - word
    at = past(at, stop, b" err:", 5)
    if at is NULL or word_size < 4:
        return False
    error = at
    while at < stop and at - error < 4 and (is_letter(at[0]) or 48 <= at[0] <= 57):
        at += 1
    error_size = at - error
    if not error_size or at > text_end or (at != text_end and at[0] != 32):
        return False
    state = states.get(word[:word_size])
    if state is None:
        return False
    tail = stop - text_end
    if tail:  # these two TLVs and no other, in this order: the text's id again, and a state
        if tail != 4 + id_size + 1 + 5:
            return False
        at = text_end
        if at[0] << 8 | at[1] != TAG_RECEIPTED_MESSAGE_ID or at[2] << 8 | at[3] != id_size + 1:
            return False
        at += 4
        if memcmp(at, text_id, id_size) != 0 or at[id_size] != 0:
            return False
        at += id_size + 1
        if at[0] << 8 | at[1] != TAG_MESSAGE_STATE or at[2] != 0 or at[3] != 1:
            return False
        if at[4]:  # some SMSCs send 0, which is no state
            state = <int>at[4]
    if not 1 <= state <= 8:
        return False
    columns.sequence_numbers.append(number)
    columns.receipt_ids.append(text_id[:id_size])
    columns.other_ids.append(b"")
    columns.states.append(state)
    columns.errors.append(error[:error_size])
    return True


def read_common(
    bytes data, Py_ssize_t start, dict in_flight, columns, bint receipts, Py_ssize_t length_max, states
):
    """
    Read submit_sm_resp and receipts of the common form into `columns`; return where the first other PDU begins.

    Arguments as of `smsgate.protocol.columns.walk`; `states`: message_state by its word in a receipt.
    """
    cdef octets base = <octets>PyBytes_AS_STRING(data)
    cdef Py_ssize_t end = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t length
    cdef unsigned int command_id
    cdef octets frame, body, stop, nul
    cdef list slots = columns.slots
    cdef list statuses = columns.statuses
    cdef list message_ids = columns.message_ids
    while end - start >= HEADER_SIZE:
        frame = base + start
        length = u32(frame)
        if length < HEADER_SIZE or length > length_max or length > end - start:
            return start
        command_id = u32(frame + 4)
        body, stop = frame + HEADER_SIZE, frame + length
        if command_id == 0x80000004u:
            if u32(frame + 8) or body == stop:
                return start
            nul = <octets>memchr(body, 0, stop - body)
            if nul != stop - 1:
                return start  # TLVs, or no end
            slot = in_flight.pop(u32(frame + 12), None)
            if slot is None:
                return start
            slots.append(slot)
            statuses.append(0)
            message_ids.append(body[: stop - 1 - body])
        elif command_id == 5 and receipts:
            if not read_receipt(body, stop, u32(frame + 12), columns, states):
                return start
        else:
            return start
        start += length
    return start


cdef inline void put(unsigned char* at, unsigned long long value, Py_ssize_t size) noexcept:
    cdef Py_ssize_t n
    for n in range(size):
        at[n] = <unsigned char>(value >> (8 * (size - 1 - n)))


def pack_rows(bytes prefix, bytes head, bytes suffix, bytes kinds, columns, Py_ssize_t count, list order):
    """
    Return rows for COPY: `prefix`, for each row its `head` and what the columns hold in turn, and `suffix`.

    `order`: the places of the rows as they are to come, None as they are; its length is `count`.

    `kinds`: a letter a column: q, i and h an integer of 8, 4 and 2 octets with its length before it; v octets or
    None with their length; r octets as they are.

    Raises:
        OverflowError: a value is out of its type's range.
    """
    cdef Py_ssize_t width = PyBytes_GET_SIZE(kinds), row, nth, n, size, at = PyBytes_GET_SIZE(prefix)
    cdef Py_ssize_t head_size = PyBytes_GET_SIZE(head)
    cdef Py_ssize_t room = at + PyBytes_GET_SIZE(suffix) + head_size * count
    cdef const char* letters = PyBytes_AS_STRING(kinds)
    cdef list lists = [each if type(each) is list else list(each) for each in columns]
    cdef list column
    cdef long long value
    if order is not None and (len(order) != count or count > 0 and not 0 <= min(order) <= max(order) < count):
        raise ValueError("an order of other rows")
    for n in range(width):
        column = <list>lists[n]
        if len(column) != count:
            raise ValueError("columns of different length")
        if letters[n] == c"q":
            room += 12 * count
        elif letters[n] == c"i":
            room += 8 * count
        elif letters[n] == c"h":
            room += 6 * count
        else:
            if letters[n] == c"v":
                room += 4 * count
            for each in column:
                if each is not None:
                    room += PyBytes_GET_SIZE(<bytes?>each)
    cdef bytes made = PyBytes_FromStringAndSize(NULL, room)
    cdef unsigned char* out = <unsigned char*>PyBytes_AS_STRING(made)
    memcpy(out, PyBytes_AS_STRING(prefix), at)
    for nth in range(count):
        row = nth if order is None else <Py_ssize_t>order[nth]
        memcpy(out + at, PyBytes_AS_STRING(head), head_size)
        at += head_size
        for n in range(width):
            each = (<list>lists[n])[row]
            if letters[n] != c"v" and letters[n] != c"r":
                if not PyLong_Check(each):  # a float would be cut
                    raise TypeError("an integer is required")
                value = each
            if letters[n] == c"q":
                put(out + at, 8, 4)
                put(out + at + 4, <unsigned long long>value, 8)
                at += 12
            elif letters[n] == c"i":
                if not -0x80000000 <= value <= 0x7FFFFFFF:
                    raise OverflowError(f"{value} is no integer of 4 octets")
                put(out + at, 4, 4)
                put(out + at + 4, <unsigned long long>value, 4)
                at += 8
            elif letters[n] == c"h":
                if not -0x8000 <= value <= 0x7FFF:
                    raise OverflowError(f"{value} is no integer of 2 octets")
                put(out + at, 2, 4)
                put(out + at + 4, <unsigned long long>value, 2)
                at += 6
            elif each is None:
                put(out + at, 0xFFFFFFFF, 4)
                at += 4
            else:
                size = PyBytes_GET_SIZE(<bytes>each)
                if letters[n] == c"v":
                    put(out + at, size, 4)
                    at += 4
                memcpy(out + at, PyBytes_AS_STRING(<bytes>each), size)
                at += size
    memcpy(out + at, PyBytes_AS_STRING(suffix), PyBytes_GET_SIZE(suffix))
    return made


def submit_bodies(bytes before, destinations, bytes after, texts, bytes tlvs):
    """
    Return submit_sm bodies: `before`, a destination, the fields in `after`, sm_length, the text, `tlvs`.

    A text has 255 octets at most; the caller saw to it.
    """
    cdef list made = []
    cdef Py_ssize_t before_size = PyBytes_GET_SIZE(before), after_size = PyBytes_GET_SIZE(after)
    cdef Py_ssize_t tlvs_size = PyBytes_GET_SIZE(tlvs), text_size, size
    cdef bytes body, destination, text
    cdef unsigned char* out
    for one, other in zip(destinations, texts):
        destination, text = <bytes?>one, <bytes?>other
        size, text_size = PyBytes_GET_SIZE(destination), PyBytes_GET_SIZE(text)
        body = PyBytes_FromStringAndSize(NULL, before_size + size + after_size + 1 + text_size + tlvs_size)
        out = <unsigned char*>PyBytes_AS_STRING(body)
        memcpy(out, PyBytes_AS_STRING(before), before_size)
        out += before_size
        memcpy(out, PyBytes_AS_STRING(destination), size)
        out += size
        memcpy(out, PyBytes_AS_STRING(after), after_size)
        out += after_size
        out[0] = <unsigned char>text_size
        memcpy(out + 1, PyBytes_AS_STRING(text), text_size)
        memcpy(out + 1 + text_size, PyBytes_AS_STRING(tlvs), tlvs_size)
        made.append(body)
    return made


def frames(bodies, numbers, unsigned int command_id):
    """Return one buffer of PDUs with command_status 0, as many as there are of both `bodies` and `numbers`."""
    cdef list all_bodies = list(bodies)
    cdef list all_numbers = list(numbers)
    cdef Py_ssize_t count = min(len(all_bodies), len(all_numbers)), n, size, room = 0
    for n in range(count):
        room += HEADER_SIZE + PyBytes_GET_SIZE(<bytes?>all_bodies[n])
    cdef bytes made = PyBytes_FromStringAndSize(NULL, room)
    cdef unsigned char* out = <unsigned char*>PyBytes_AS_STRING(made)
    cdef unsigned int number
    for n in range(count):
        number = all_numbers[n]
        size = PyBytes_GET_SIZE(<bytes>all_bodies[n])
        put(out, HEADER_SIZE + size, 4)
        put(out + 4, command_id, 4)
        put(out + 8, 0, 4)
        put(out + 12, number, 4)
        memcpy(out + HEADER_SIZE, PyBytes_AS_STRING(<bytes>all_bodies[n]), size)
        out += HEADER_SIZE + size
    return made


def empty_responses(numbers, unsigned int command_id, unsigned int status):
    """Return one buffer of responses whose body is an empty C-octet string."""
    cdef list all_numbers = list(numbers)
    cdef Py_ssize_t n
    cdef bytes made = PyBytes_FromStringAndSize(NULL, (HEADER_SIZE + 1) * len(all_numbers))
    cdef unsigned char* out = <unsigned char*>PyBytes_AS_STRING(made)
    cdef unsigned int number
    for n in range(len(all_numbers)):
        number = all_numbers[n]
        put(out, HEADER_SIZE + 1, 4)
        put(out + 4, command_id, 4)
        put(out + 8, status, 4)
        put(out + 12, number, 4)
        out[HEADER_SIZE] = 0
        out += HEADER_SIZE + 1
    return made
