'use strict';
/*
 * An SMSC made of the npm package smpp, for one account; what it is told and what it tells: interop_peers.py.
 *
 *   node npm_smsc.js PACKAGE SYSTEM_ID PASSWORD          PACKAGE is smpp05 or smpp06
 */
const readline = require('readline');

const [package_, systemId, password] = process.argv.slice(2);
const smpp = require(package_);
const READERS = ['bind_transceiver', 'bind_receiver'];
const GSM = 0;
const RECEIPT = 4; // esm_class

const sessions = new Set(); // bound ones
const waiting = []; // deliver_sm that no receiver has taken yet
let sessionsMade = 0;
let messagesMade = 0;
let throttleNext = 0;

function tell(event, facts) {
    process.stdout.write(JSON.stringify({ event, ...facts }) + '\n');
}

function deliver(entry) {
    const reader = [...sessions].find((session) => READERS.includes(session.mode));
    if (!reader) {
        waiting.push(entry);
        return;
    }
    reader.unanswered.add(entry);
    // A copy: encoding turns the text of a PDU into octets.
    reader.deliver_sm({ ...entry.fields }, (answer) => {
        reader.unanswered.delete(entry);
        tell('deliver_answered', { what: entry.what, id: entry.id, status: answer.command_status });
    });
}

function stamp(date) {
    return date.toISOString().replace(/\D/g, '').slice(2, 12);
}

function receipt(pdu, id) {
    const now = stamp(new Date());
    const text = pdu.short_message.message.slice(0, 20);
    return {
        what: 'receipt',
        id,
        fields: {
            esm_class: RECEIPT,
            source_addr_ton: pdu.dest_addr_ton,
            source_addr_npi: pdu.dest_addr_npi,
            source_addr: pdu.destination_addr,
            dest_addr_ton: pdu.source_addr_ton,
            dest_addr_npi: pdu.source_addr_npi,
            destination_addr: pdu.source_addr,
            data_coding: GSM,
            short_message:
                `id:${id} sub:001 dlvrd:001 submit date:${now} done date:${now} stat:DELIVRD err:000 text:${text}`,
            receipted_message_id: id,
            message_state: smpp.MESSAGE_STATE.DELIVERED,
        },
    };
}

// The octets of a user data header: its length, and its elements, which the package has taken apart.
function header(elements) {
    const octets = Buffer.concat(elements || []);
    return octets.length ? Buffer.concat([Buffer.from([octets.length]), octets]).toString('hex') : '';
}

function submitted(session, pdu) {
    const refused = throttleNext > 0;
    throttleNext -= refused ? 1 : 0;
    const id = refused ? null : `npm-${(++messagesMade).toString(16).padStart(8, '0')}`;
    tell('submit', {
        session: session.number,
        id,
        status: refused ? smpp.ESME_RTHROTTLED : 0,
        source: [pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr],
        destination: [pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr],
        text: pdu.short_message.message,
        udh: header(pdu.short_message.udh),
        data_coding: pdu.data_coding,
        esm_class: pdu.esm_class,
        registered_delivery: pdu.registered_delivery,
    });
    if (refused) {
        session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED })); // a bare header, as many SMSCs do
        return;
    }
    session.send(pdu.response({ message_id: id }));
    if (pdu.registered_delivery & 1) {
        setImmediate(deliver, receipt(pdu, id));
    }
}

function bind(session, mode, pdu) {
    const status =
        pdu.system_id !== systemId ? smpp.ESME_RINVSYSID : pdu.password !== password ? smpp.ESME_RINVPASWD : 0;
    tell('bind', { session: session.number, mode, system_id: pdu.system_id, status });
    if (status) {
        session.send(pdu.response({ command_status: status }));
        session.close();
        return;
    }
    session.send(pdu.response({ system_id: 'npm' }));
    session.mode = mode;
    sessions.add(session);
    waiting.splice(0).forEach(deliver);
}

const server = smpp.createServer((session) => {
    session.number = ++sessionsMade;
    session.unanswered = new Set();
    for (const mode of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
        session.on(mode, (pdu) => bind(session, mode, pdu));
    }
    session.on('submit_sm', (pdu) => submitted(session, pdu));
    session.on('enquire_link', (pdu) => {
        tell('enquire_link', { session: session.number });
        session.send(pdu.response());
    });
    session.on('unbind', (pdu) => {
        tell('unbind', { session: session.number, mode: session.mode });
        session.send(pdu.response());
        session.close();
    });
    session.on('error', (error) => tell('error', { session: session.number, error: String(error) }));
    session.on('close', () => {
        sessions.delete(session);
        waiting.push(...session.unanswered); // the next receiver gets them again
        tell('closed', { session: session.number });
    });
});

function ask(command) {
    sessions.forEach((session) =>
        session[command]((answer) => {
            tell(answer.command, { session: session.number, status: answer.command_status });
        }),
    );
}

const ORDERS = {
    mo: ({ from, to, text, octets, data_coding = GSM, esm_class = 0 }) =>
        deliver({
            what: 'mo',
            id: text === undefined ? octets : text,
            fields: {
                esm_class,
                source_addr_ton: 1,
                source_addr_npi: 1,
                source_addr: from,
                dest_addr_ton: 3,
                dest_addr_npi: 0,
                destination_addr: to,
                data_coding,
                short_message: text === undefined ? Buffer.from(octets, 'hex') : text,
            },
        }),
    throttle: ({ count }) => {
        throttleNext = count;
    },
    enquire_link: () => ask('enquire_link'),
    unbind: () => ask('unbind'),
    cut: () => sessions.forEach((session) => session.destroy()),
};

readline
    .createInterface({ input: process.stdin })
    .on('line', (line) => {
        const order = JSON.parse(line);
        ORDERS[order.do](order);
    })
    .on('close', () => process.exit(0));

server.listen(0, '127.0.0.1', () => tell('listening', { port: server.address().port }));
