'use strict';
/*
 * An ESME made of the npm package smpp.
 *
 *   node npm_esme.js PORT
 *
 * Standard output: one JSON object a line, what it saw. Standard input: one JSON object a line, what it is to do:
 *   {"do": "bind_transceiver", "system_id": "smsgate", "password": "secret"}
 *   {"do": "submit_sm", "source_addr": "36111", "destination_addr": "33639980001", "short_message": "..."}
 *   {"do": "enquire_link"}, {"do": "unbind"}
 * It ends with its standard input.
 */
const readline = require('readline');
const smpp = require('smpp');

function tell(event, facts) {
    process.stdout.write(JSON.stringify({ event, ...facts }) + '\n');
}

const session = smpp.connect({ host: '127.0.0.1', port: Number(process.argv[2]) }, () => tell('connected', {}));
session.on('deliver_sm', (pdu) => {
    tell('deliver_sm', {
        source: pdu.source_addr,
        destination: pdu.destination_addr,
        esm_class: pdu.esm_class,
        data_coding: pdu.data_coding,
        text: pdu.short_message.message,
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
        const { do: command, ...fields } = JSON.parse(line);
        session[command](fields, (answer) =>
            tell(answer.command, {
                status: answer.command_status,
                message_id: answer.message_id,
                system_id: answer.system_id,
                number: answer.sequence_number,
            }),
        );
    })
    .on('close', () => process.exit(0));
