/** Keeps a copy, named NAME-copy, of every ConfigMap that is labelled copy=yes. */
import { pino } from 'pino';
import { applyChild, ownedBy } from './apply.ts';
import { KubeClient } from './client.ts';
import { Controller } from './controller.ts';
import { Informer } from './informer.ts';
import { controllerOf, controllerReference, type Kind, type KubeObject } from './object.ts';

type ConfigMap = KubeObject & { readonly data?: Readonly<Record<string, string>> };
const CONFIG_MAP: Kind<ConfigMap> = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
};

const log = pino();
const client = KubeClient.fromEnvironment();
const originals = new Informer({ client, log, kind: CONFIG_MAP, labelSelector: 'copy=yes' });
const copies = new Informer({ client, log, kind: CONFIG_MAP, labelSelector: 'copy-of' });

const controller = new Controller({
  name: 'copier',
  log,
  reconciler: {
    reconcile: async (key, { signal, log }) => {
      const original = originals.store.get(key);
      // One that is gone takes its copy along, by the owner reference.
      if (!original) return {};
      const { namespace, name } = key;
      const metadata = {
        namespace,
        name: `${name}-copy`,
        labels: { 'copy-of': name },
        ownerReferences: [controllerReference(CONFIG_MAP, original)],
      };
      const { state } = await applyChild({
        client,
        signal,
        kind: CONFIG_MAP,
        desired: { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: original.data } as never,
        cached: copies.store.get({ namespace, name: metadata.name }),
        isOurs: ownedBy(original),
        fieldManager: 'copier',
        hashAnnotation: 'example.org/applied',
      });
      log.info({ state }, 'copied');
      return {};
    },
  },
})
  .watch(originals)
  .watch(copies, (copy) => {
    const owner = controllerOf(copy);
    return owner ? [{ namespace: copy.metadata.namespace ?? '', name: owner.name }] : [];
  });

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
const watching = Promise.all([originals.run(stop.signal), copies.run(stop.signal)]);
await Promise.all([originals.untilSynced(stop.signal), copies.untilSynced(stop.signal)]);
await controller.run(stop.signal);
await watching;
await client.config.close();
