// A real S3-compatible server (s3rver) that lets in only who can sign: it looks at dates and key ids by itself, and
// leaves the signature (AWS Signature Version 4) to this file. Started by tests/real/bucket.py.
//
// node bucket.js ADDRESS PORT FOLDER BUCKET KEY_ID SECRET, with NODE_PATH at its packages.
'use strict';
const { createHash, createHmac, timingSafeEqual } = require('node:crypto');
const Account = require('s3rver/lib/models/account');
const S3rver = require('s3rver');

const [address, port, folder, bucket, keyId, secret] = process.argv.slice(2);

const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const sha256 = text => createHash('sha256').update(text).digest('hex');
const encode = text => encodeURIComponent(text).replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

function readSigned(request, query) {
  const header = request.headers.authorization;
  if (header === undefined) {
    return {
      credential: query.get('X-Amz-Credential') ?? '',
      names: query.get('X-Amz-SignedHeaders') ?? '',
      signature: query.get('X-Amz-Signature') ?? '',
      date: query.get('X-Amz-Date') ?? '',
      body: 'UNSIGNED-PAYLOAD',
    };
  }
  const part = name => new RegExp(`${name}=([^,\\s]+)`).exec(header)?.[1] ?? '';
  return {
    credential: part('Credential'),
    names: part('SignedHeaders'),
    signature: part('Signature'),
    date: request.headers['x-amz-date'] ?? '',
    body: request.headers['x-amz-content-sha256'] ?? '',
  };
}

function isSigned(request) {
  const [path, search = ''] = request.url.split(/\?(.*)/s);
  const query = new URLSearchParams(search.replaceAll('+', '%2B'));
  const { credential, names, signature, date, body } = readSigned(request, query);
  const [id, day, region, service, end] = credential.split('/');
  if (id !== keyId || !names.split(';').includes('host')) return false;
  const pairs = [...query].filter(([name]) => name !== 'X-Amz-Signature').map(pair => pair.map(encode).join('='));
  const headers = names.split(';').map(name => `${name}:${(request.headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`);
  const asked = [request.method, path, pairs.sort().join('&'), headers.join(''), names, body].join('\n');
  const text = ['AWS4-HMAC-SHA256', date, [day, region, service, end].join('/'), sha256(asked)].join('\n');
  const key = [day, region, service, end].reduce(hmac, `AWS4${secret}`);
  const wanted = Buffer.from(hmac(key, text).toString('hex'));
  const given = Buffer.from(signature);
  return wanted.length === given.length && timingSafeEqual(wanted, given);
}

new Account(1, 'tests').createKeyPair(keyId, secret);
const server = new S3rver({
  address,
  port: Number(port),
  directory: folder,
  configureBuckets: [{ name: bucket }],
  vhostBuckets: false,
});
server.middleware.unshift(async (context, next) => {
  if (isSigned(context.req)) return next();
  context.status = 403;
  context.type = 'application/xml';
  context.body = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>SignatureDoesNotMatch</Code></Error>';
});
server.run().then(() => process.stdout.write('ready\n'));
