/** What a pod needs to compute on its device. Pure. */
import { DEFAULT_GPU_RESOURCE, type ModelDeploymentSpec } from '../../api/model-deployment.ts';
import type { Kind } from '../../runtime/object.ts';
import { RESOURCE_CLAIM, RESOURCE_CLAIM_TEMPLATE } from '../kinds.ts';
import type { InferenceImage } from '../pods.ts';
import type { Problem } from '../problems.ts';

export type Device = ModelDeploymentSpec['device'];

/** Names of images by accelerator; absent: not configured. */
export type DeviceImages = Readonly<Partial<Record<Exclude<Device, 'cpu'>, string | undefined>>>;

type DeviceSpec = Pick<ModelDeploymentSpec, 'device' | 'gpu' | 'resources'>;

/** The image for a device: its own, pulled as that of the processor is. */
export function deviceImage(
  device: Device,
  image: InferenceImage,
  others: DeviceImages,
): InferenceImage | undefined {
  if (device === 'cpu') return image;
  const name = others[device];
  return name === undefined ? undefined : { ...image, name };
}

export const deviceImageMissing = (device: Device): Problem => ({
  reason: 'DeviceImageMissing',
  message: `the operator has no image for device ${device}: set its INFERENCE_IMAGE_${device.toUpperCase()} (in the chart inferenceImages.${device}), or choose another device`,
});

/** Variables of the container. The NVIDIA runtime mounts only the libraries that are asked for. */
export const deviceEnvironment = ({ device }: DeviceSpec) => [
  { name: 'DEVICE', value: device },
  ...(device === 'cpu' ? [] : [{ name: 'NVIDIA_DRIVER_CAPABILITIES', value: 'compute,utility' }]),
];

/** Name of the claim within the pod. */
const CLAIM = 'accelerator';

/** The object that says which devices a pod gets by dynamic resource allocation. */
export interface DeviceClaim {
  readonly kind: Kind;
  readonly name: string;
}

export function deviceClaim({ gpu }: DeviceSpec): DeviceClaim | undefined {
  if (gpu?.resourceClaimTemplateName !== undefined) {
    return { kind: RESOURCE_CLAIM_TEMPLATE, name: gpu.resourceClaimTemplateName };
  }
  return gpu?.resourceClaimName === undefined
    ? undefined
    : { kind: RESOURCE_CLAIM, name: gpu.resourceClaimName };
}

export const resourceClaimsNotSupported = ({ kind, name }: DeviceClaim): Problem => ({
  reason: 'ResourceClaimsNotSupported',
  message: `spec.gpu names ${kind.kind} ${name}, and this cluster does not serve ${kind.apiVersion}: name an extended resource in spec.gpu.resourceName`,
});

export const deviceClaimMissing = ({ kind, name }: DeviceClaim): Problem => ({
  reason: 'ResourceClaimNotFound',
  message: `pods wait for ${kind.kind} ${name}, which does not exist in this namespace`,
});

/** The pod's part of the device. */
export function devicePodSpec({ gpu }: DeviceSpec) {
  const { runtimeClassName, resourceClaimTemplateName, resourceClaimName } = gpu ?? {};
  const claim = resourceClaimTemplateName ? { resourceClaimTemplateName } : { resourceClaimName };
  return {
    ...(runtimeClassName === undefined ? {} : { runtimeClassName }),
    ...((resourceClaimTemplateName ?? resourceClaimName)
      ? { resourceClaims: [{ name: CLAIM, ...claim }] }
      : {}),
  };
}

/** The container's resources with the accelerator. Extended resources are requested by their limit. */
export function containerResources(spec: DeviceSpec) {
  const { requests, limits } = spec.resources;
  const { gpu } = spec;
  const claimed = deviceClaim(spec) !== undefined;
  const counted = gpu && !claimed ? { [gpu.resourceName ?? DEFAULT_GPU_RESOURCE]: gpu.count ?? 1 } : {};
  const all = { ...limits, ...counted };
  return {
    ...(requests === undefined ? {} : { requests: asStrings(requests) }),
    ...(Object.keys(all).length === 0 ? {} : { limits: asStrings(all) }),
    ...(claimed ? { claims: [{ name: CLAIM }] } : {}),
  };
}

/** As the API server writes quantities. */
const asStrings = (quantities: Readonly<Record<string, string | number>>) =>
  Object.fromEntries(Object.entries(quantities).map(([name, value]) => [name, String(value)]));
