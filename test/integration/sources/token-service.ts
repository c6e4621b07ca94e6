/** The token service that a registry sends its clients to: passwords in, signed tokens out. */
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export const issuer = 'the-token-service';
export const service = 'the-registry';

export interface TokenService {
  readonly realm: string;
  /** What a registry trusts, as a JSON Web Key Set. */
  readonly keySet: string;
  /** Tokens given so far. */
  readonly given: number;
  close(): void;
}

/** @param allows whether who asks so may read */
export async function startTokenService(
  allows: (request: IncomingMessage, form: URLSearchParams) => boolean,
): Promise<TokenService> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = 'one';
  const state = { given: 0 };
  const tokenFor = (scope: string) => {
    const [, name = '', actions = ''] = /^repository:(.+):([a-z,*]+)$/.exec(scope) ?? [];
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer,
      sub: 'reader',
      aud: service,
      exp: now + 300,
      nbf: now - 30,
      iat: now,
      jti: randomUUID(),
      access: [{ type: 'repository', name, actions: actions.split(',') }],
    };
    const signed = [{ typ: 'JWT', alg: 'ES256', kid }, claims].map(base64url).join('.');
    const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${signature.toString('base64url')}`;
  };
  const server = createServer(async (request, response) => {
    const posted = request.method === 'POST' ? await text(request) : '';
    const form = new URLSearchParams(posted || new URL(request.url ?? '', 'http://token').search);
    if (form.get('service') !== service || !allows(request, form)) {
      response.writeHead(401).end('{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}');
      return;
    }
    state.given += 1;
    response.end(JSON.stringify({ token: tokenFor(form.get('scope') ?? ''), expires_in: 300 }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const key = { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' };
  return {
    realm: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    keySet: JSON.stringify({ keys: [key] }),
    get given() {
      return state.given;
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
