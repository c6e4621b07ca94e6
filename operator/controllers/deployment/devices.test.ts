import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deploymentSpec, IMAGE } from '../builders.ts';
import { containerResources, deviceClaim, deviceEnvironment, deviceImage, devicePodSpec } from './devices.ts';

describe('the image', () => {
  const others = { cuda: 'registry.test/inference-cuda:1', tensorrt: undefined };
  const rows = [
    ['cpu', IMAGE.name],
    ['cuda', others.cuda],
    ['tensorrt', undefined],
  ] as const;
  for (const [device, name] of rows) {
    it(`of ${device} is ${name}`, () => assert.equal(deviceImage(device, IMAGE, others)?.name, name));
  }
  it('of an accelerator is pulled as the other is', () => {
    const image = { ...IMAGE, pullSecrets: ['s'] };
    assert.deepEqual(deviceImage('cuda', image, others), { ...image, name: others.cuda });
  });
});

describe('the accelerator of a pod', () => {
  type Row = { what: string; gpu?: object; pod: object; resources: object };
  const limits = (name: string, count: string) => ({ limits: { memory: '1Gi', [name]: count } });
  const none = { limits: { memory: '1Gi' } };
  const rows: Row[] = [
    { what: 'none', pod: {}, resources: none },
    { what: 'by default one of NVIDIA', gpu: {}, pod: {}, resources: limits('nvidia.com/gpu', '1') },
    {
      what: 'a slice, with its runtime class',
      gpu: { resourceName: 'nvidia.com/mig-1g.10gb', count: 2, runtimeClassName: 'nvidia' },
      pod: { runtimeClassName: 'nvidia' },
      resources: limits('nvidia.com/mig-1g.10gb', '2'),
    },
    {
      what: 'a claim of its own',
      gpu: { resourceClaimTemplateName: 't', runtimeClassName: 'r' },
      pod: {
        runtimeClassName: 'r',
        resourceClaims: [{ name: 'accelerator', resourceClaimTemplateName: 't' }],
      },
      resources: { ...none, claims: [{ name: 'accelerator' }] },
    },
    {
      what: 'a claim that all share',
      gpu: { resourceClaimName: 'c' },
      pod: { resourceClaims: [{ name: 'accelerator', resourceClaimName: 'c' }] },
      resources: { ...none, claims: [{ name: 'accelerator' }] },
    },
  ];
  for (const { what, gpu, pod, resources } of rows) {
    it(what, () => {
      const spec = deploymentSpec({ resources: { limits: { memory: '1Gi' } }, ...(gpu ? { gpu } : {}) });
      assert.deepEqual(devicePodSpec(spec), pod);
      assert.deepEqual(containerResources(spec), resources);
    });
  }

  it('leaves resources out where there are none', () => {
    assert.deepEqual(containerResources(deploymentSpec({ resources: {} })), {});
  });

  it('is named by kind where it is a claim', () => {
    const named = (gpu: object) => {
      const claim = deviceClaim(deploymentSpec({ gpu }));
      return claim && `${claim.kind.kind} ${claim.name}`;
    };
    assert.equal(named({ resourceClaimTemplateName: 't' }), 'ResourceClaimTemplate t');
    assert.equal(named({ resourceClaimName: 'c' }), 'ResourceClaim c');
    assert.equal(named({}), undefined);
  });
});

it('libraries of the driver are asked for where there is one', () => {
  const names = (device: string) => deviceEnvironment(deploymentSpec({ device })).map(({ name }) => name);
  assert.deepEqual(names('cpu'), ['DEVICE']);
  assert.deepEqual(names('tensorrt'), ['DEVICE', 'NVIDIA_DRIVER_CAPABILITIES']);
});
