import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ServiceError } from '../errors.ts';
import { type FetchPolicy, isPublic, MediaFetcher, type Resolve } from './fetch-media.ts';

const strict: FetchPolicy = { allowHosts: [], allowPrivate: false, timeoutMs: 5_000 };
const never = new AbortController().signal;

async function fetched(
  url: string,
  policy: Partial<FetchPolicy> = {},
  { resolve, signal = never }: { readonly resolve?: Resolve; readonly signal?: AbortSignal } = {},
): Promise<{ text: string; type: string }> {
  const fetcher = new MediaFetcher({ ...strict, ...policy }, resolve);
  try {
    return await fetcher.fetch(
      url,
      async (body, type) => ({ text: (await buffer(body)).toString(), type }),
      signal,
    );
  } finally {
    await fetcher.close();
  }
}

function failsWith(code: string, pattern = /./) {
  return (error: unknown) => {
    assert(error instanceof ServiceError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  };
}

describe('URLs that are refused before anything is sent', () => {
  const cases = {
    'a file': ['file:///etc/passwd', /only https/],
    'plain http': ['http://example.com/a.png', /only https/],
    'no URL': ['a.png', /not an absolute URL/],
    'a password': ['https://user:secret@example.com/', /user name or password/],
    'another port': ['https://example.com:8443/', /standard port/],
    loopback: ['https://127.0.0.1/', /not public/],
    'loopback as one number': ['https://2130706433/', /not public/],
    'loopback in octal': ['https://0177.0.0.1/', /not public/],
    'loopback in IPv6': ['https://[::1]/', /not public/],
    'a mapped address': ['https://[::ffff:10.0.0.1]/', /not public/],
    'cloud metadata': ['https://169.254.169.254/latest/', /not public/],
    'the network of NAT64': ['https://[64:ff9b::a00:1]/', /not public/],
    'carrier-grade NAT': ['https://100.64.0.1/', /not public/],
    'this network': ['https://0.0.0.0/', /not public/],
  } as const;
  for (const [name, [url, message]] of Object.entries(cases)) {
    test(name, async () => {
      const resolve: Resolve = async () => assert.fail('nothing is looked up');
      await assert.rejects(fetched(url, {}, { resolve }), failsWith('url_refused', message));
    });
  }
});

test('a name is refused when one of its addresses is not public', async () => {
  const resolve: Resolve = async () => [
    { address: '93.184.216.34', family: 4 },
    { address: '10.1.2.3', family: 4 },
  ];
  await assert.rejects(
    fetched('https://media.test/a.png', {}, { resolve }),
    failsWith('url_refused', /media\.test/),
  );
});

test('a refusal does not tell which address a name has', async () => {
  const resolve: Resolve = async () => [{ address: '10.1.2.3', family: 4 }];
  await assert.rejects(fetched('https://media.test/', {}, { resolve }), (error: Error) => {
    assert.doesNotMatch(error.message, /10\.1\.2\.3/);
    return true;
  });
});

test('public addresses are told from all others', () => {
  const expected = {
    '8.8.8.8': true,
    '2606:4700::1111': true,
    '192.168.0.1': false,
    '172.16.0.1': false,
    '224.0.0.1': false,
    '255.255.255.255': false,
    'fe80::1': false,
    'fd00::1': false,
    '2002:a00:1::': false,
    '2001:db8::1': false,
    '::ffff:8.8.8.8': true,
    'not an address': false,
  };
  for (const [address, isExpected] of Object.entries(expected))
    assert.equal(isPublic(address), isExpected, address);
});

describe('a media server', () => {
  let server: Server;
  let origin: string;
  const answers: Record<string, (response: ServerResponse, request: IncomingMessage) => void> = {
    '/image': (response) => response.setHeader('content-type', 'Image/PNG').end('pixels'),
    '/compressed': (response) => response.setHeader('content-encoding', 'gzip').end(gzipSync('pixels')),
    '/gone': (response) => response.writeHead(404).end('no'),
    '/once': (response) => response.writeHead(302, { location: '/image' }).end(),
    '/inside': (response) => response.writeHead(307, { location: 'http://169.254.169.254/' }).end(),
    '/loop': (response) => response.writeHead(302, { location: '/loop' }).end(),
    '/cut': (response) => {
      response.writeHead(200, { 'content-length': '100' }).write('half');
      setImmediate(() => response.destroy());
    },
    '/silent': (response) => response.writeHead(200).write('begun'),
    '/headers': (response, { headers }) => response.end(JSON.stringify(headers)),
  };
  before(async () => {
    server = createServer((request, response) => answers[request.url ?? '']?.(response, request));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const trusting = { allowHosts: ['localhost'] };

  test('is read when its host is allowed, with any port and without TLS', async () => {
    assert.deepEqual(await fetched(`${origin}/image`, trusting), { text: 'pixels', type: 'image/png' });
  });

  test('is read when every host is', async () => {
    assert.equal((await fetched(`${origin}/image`, { allowPrivate: true })).text, 'pixels');
  });

  test('is followed to where it redirects', async () => {
    assert.equal((await fetched(`${origin}/once`, trusting)).text, 'pixels');
  });

  test('cannot send the fetcher on to an address inside', async () => {
    await assert.rejects(fetched(`${origin}/inside`, trusting), failsWith('url_refused'));
  });

  test('is told nothing but what it needs', async () => {
    const headers = JSON.parse((await fetched(`${origin}/headers`, trusting)).text);
    assert.equal(headers['accept-encoding'], 'identity');
    assert.equal(headers['authorization'], undefined);
  });

  test('is looked up once for a connection', async () => {
    let lookups = 0;
    const resolve: Resolve = async () => {
      lookups += 1;
      return [{ address: '127.0.0.1', family: 4 }];
    };
    const url = origin.replace('localhost', 'media.test');
    const { text } = await fetched(`${url}/image`, { allowHosts: ['media.test'] }, { resolve });
    assert.equal(text, 'pixels');
    assert.equal(lookups, 1);
  });

  const failures = {
    '/gone': ['fetch_failed', /answered 404/],
    '/compressed': ['fetch_failed', /encoding gzip/],
    '/loop': ['fetch_failed', /more than 3 redirects/],
    '/cut': ['fetch_failed', /localhost/],
  } as const;
  for (const [path, [code, message]] of Object.entries(failures)) {
    test(`fails with ${code} at ${path}`, async () => {
      await assert.rejects(fetched(origin + path, trusting), failsWith(code, message));
    });
  }

  test('that falls silent ends with its time', async () => {
    await assert.rejects(
      fetched(`${origin}/silent`, { ...trusting, timeoutMs: 200 }),
      failsWith('fetch_timeout'),
    );
  });

  test('is left when the signal says so', async () => {
    const reason = new Error('left');
    const signal = AbortSignal.abort(reason);
    await assert.rejects(fetched(`${origin}/silent`, trusting, { signal }), reason);
  });
});
