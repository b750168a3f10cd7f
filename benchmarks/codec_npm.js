'use strict';
/*
 * The works of benchmarks/codec.py, done by the npm package smpp.
 *
 *   NODE_PATH=tests/interop/node_modules node codec_npm.js PACKAGE OPERATIONS ROUNDS TEXT < receipts.hex
 *
 * Standard output: {"encode": operations per second of CPU, "decode": the same}.
 */
const fs = require('fs');
const { PDU } = require(process.argv[2]);

const [operations, rounds] = process.argv.slice(3, 5).map(Number);
const text = process.argv[5];
const stream = Buffer.from(fs.readFileSync(0, 'utf8').trim(), 'hex');
const frames = [];
for (let at = 0; at < stream.length; at += stream.readUInt32BE(at)) {
    frames.push(stream.subarray(at, at + stream.readUInt32BE(at)));
}

function encode(count) {
    for (let number = 0; number < count; number++) {
        new PDU('submit_sm', {
            sequence_number: number,
            source_addr_ton: 5,
            source_addr: 'Boxman',
            dest_addr_ton: 1,
            dest_addr_npi: 1,
            destination_addr: String(33612000000 + number),
            registered_delivery: 1,
            short_message: text,
        }).toBuffer();
    }
}

function decode(count) {
    for (let number = 0; number < count; number++) {
        const pdu = PDU.fromBuffer(frames[number % frames.length]);
        if (pdu.message_state !== 2) throw new Error('not the receipt');
    }
}

function perCpuSecond(work) {
    work(operations);
    let best = Infinity;
    for (let round = 0; round < rounds; round++) {
        const before = process.cpuUsage();
        work(operations);
        const { user, system } = process.cpuUsage(before);
        best = Math.min(best, user + system);
    }
    return Math.round((operations * 1e6) / best);
}

process.stdout.write(JSON.stringify({ encode: perCpuSecond(encode), decode: perCpuSecond(decode) }));
