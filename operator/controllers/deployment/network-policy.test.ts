import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aModelDeployment } from '../builders.ts';
import { desiredNetworkPolicy } from './network-policy.ts';

interface Peer {
  readonly namespaceSelector?: { readonly matchLabels: Readonly<Record<string, string>> };
}
interface Port {
  readonly port: number | string;
  readonly protocol?: string;
}
/** As it travels: the client's type calls `from` otherwise. */
interface NetworkPolicy {
  readonly spec: {
    readonly podSelector: object;
    readonly policyTypes: readonly string[];
    readonly ingress: readonly { readonly from: readonly Peer[]; readonly ports?: readonly Port[] }[];
    readonly egress: readonly { readonly to: readonly Peer[]; readonly ports: readonly Port[] }[];
  };
}

function build(networkPolicy?: object) {
  const owner = aModelDeployment(networkPolicy ? { networkPolicy } : {});
  return desiredNetworkPolicy(owner, owner.spec, 'operators') as unknown as NetworkPolicy | undefined;
}
const namespaces = (policy: NetworkPolicy | undefined) =>
  policy?.spec.ingress[0]?.from.map(
    ({ namespaceSelector }) => namespaceSelector?.matchLabels['kubernetes.io/metadata.name'] ?? 'own',
  );

describe('the network policy', () => {
  it('is absent where nobody asks for it', () => assert.equal(build(), undefined));

  it('lets the own namespace and that of the operator ask, on the port that serves, and pods resolve names', () => {
    const policy = build({});
    assert.deepEqual(namespaces(policy), ['own', 'operators']);
    assert.deepEqual(policy?.spec.ingress[0]?.ports, [{ port: 'http', protocol: 'TCP' }]);
    assert.deepEqual(policy?.spec.policyTypes, ['Ingress', 'Egress']);
    assert.equal(policy?.spec.egress.length, 1);
    const dns = policy?.spec.egress[0];
    assert.deepEqual(dns?.to[0]?.namespaceSelector?.matchLabels, {
      'kubernetes.io/metadata.name': 'kube-system',
    });
    assert.deepEqual(
      dns?.ports.map(({ port, protocol }) => `${port}/${protocol}`),
      ['53/UDP', '53/TCP'],
    );
    assert.deepEqual(policy?.spec.podSelector, {
      matchLabels: { 'deepfake-operator.io/model-deployment': 'd' },
    });
  });

  it('lets named namespaces ask, each once', () => {
    const policy = build({ allowedNamespaces: ['web', 'operators'] });
    assert.deepEqual(namespaces(policy), ['own', 'operators', 'web']);
  });

  it('hands further rules on as they are', () => {
    const ingress = [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }];
    const egress = [{ to: [{ ipBlock: { cidr: '10.1.0.0/16' } }], ports: [{ port: 6379 }] }];
    const policy = build({ ingress, egress });
    assert.deepEqual(policy?.spec.ingress.slice(1), ingress);
    assert.deepEqual(policy?.spec.egress.slice(1), egress);
  });
});
