'use strict';
/*
 * An ESME made of the npm package smpp; what it is told and what it tells: interop_peers.py.
 *
 *   node npm_esme.js PACKAGE PORT          PACKAGE is smpp05 or smpp06
 */
const readline = require('readline');

const [package_, port] = process.argv.slice(2);
const smpp = require(package_);

function tell(event, facts) {
    process.stdout.write(JSON.stringify({ event, ...facts }) + '\n');
}

function answered(answer) {
    tell(answer.command, {
        status: answer.command_status,
        message_id: answer.message_id,
        message_state: answer.message_state,
        system_id: answer.system_id,
        number: answer.sequence_number,
    });
}

const session = smpp.connect({ host: '127.0.0.1', port: Number(port) }, () => tell('connected', {}));
session.on('deliver_sm', (pdu) => {
    const { message, udh } = pdu.short_message;
    tell('deliver_sm', {
        source: pdu.source_addr,
        destination: pdu.destination_addr,
        esm_class: pdu.esm_class,
        data_coding: pdu.data_coding,
        text: Buffer.isBuffer(message) ? message.toString('hex') : message,
        udh: udh ? udh.map((element) => element.toString('hex')) : [],
        receipted_message_id: pdu.receipted_message_id,
        message_state: pdu.message_state,
    });
    session.send(pdu.response());
});
session.on('enquire_link', (pdu) => session.send(pdu.response()));
session.on('unbind', (pdu) => {
    tell('unbind', {});
    session.send(pdu.response());
    session.close();
});
session.on('error', (error) => tell('error', { error: String(error) }));
session.on('close', () => tell('closed', {}));

readline
    .createInterface({ input: process.stdin })
    .on('line', (line) => {
        const { do: command, octets, payload, ...fields } = JSON.parse(line);
        if (octets !== undefined) {
            fields.short_message = Buffer.from(octets, 'hex');
        }
        if (payload !== undefined) {
            fields.message_payload = Buffer.from(payload, 'hex');
        }
        session[command](fields, answered);
    })
    .on('close', () => process.exit(0));
