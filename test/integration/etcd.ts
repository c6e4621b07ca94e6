import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import type { ControlPlane } from '../../hack/lib/control-plane.ts';

/** Makes etcd forget everything but the present. */
export async function compactEtcd({ certificateDir, ports, authority }: ControlPlane): Promise<void> {
  const [ca, cert, key] = await Promise.all([
    readFile(authority.certificate),
    readFile(join(certificateDir, 'etcd.crt')),
    readFile(join(certificateDir, 'etcd.key')),
  ]);
  const ask = (path: string, body: object) =>
    new Promise<{ header: { revision: string } }>((resolve, reject) => {
      const url = `https://127.0.0.1:${ports.etcdClient}/v3/kv/${path}`;
      const call = request(url, { method: 'POST', ca, cert, key, agent: false }, async (response) => {
        const text = Buffer.concat(await response.toArray()).toString();
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`etcd answers ${response.statusCode} to ${path}: ${text}`));
      });
      call.on('error', reject);
      call.end(JSON.stringify(body));
    });
  const { header } = await ask('range', { key: Buffer.from('/').toString('base64') });
  await ask('compaction', { revision: header.revision, physical: true });
}
