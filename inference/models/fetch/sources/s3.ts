/** An archive or a folder in S3 or a store that speaks its protocol. Needs the right to read objects, not to list them. */
import { isIP } from 'node:net';
import { AwsV4Signer } from 'aws4fetch';
import { type Access, anonymous, type Explanation, type Refusal, type Remote } from '../resource.ts';
import type { S3Source } from '../source.ts';

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/** Codes that come with 400, although the credentials are what is wrong. */
const credentialCodes: readonly string[] = [
  'AuthorizationHeaderMalformed',
  'ExpiredToken',
  'InvalidToken',
  'RequestTimeTooSkewed',
];

/** @param keys undefined for a public bucket */
export function s3Remote(source: S3Source, keys: S3Keys | undefined): Remote {
  const access = accessOf(source, keys);
  const resource = (key: string) => ({ url: objectUrl(source, key), access });
  if (source.key !== undefined) return { kind: 'layers', layers: [{ resource: resource(source.key) }] };
  const prefix = (source.prefix ?? '').replace(/\/*$/, '/').replace(/^\/$/, '');
  return { kind: 'folder', locate: (file) => resource(`${prefix}${file}`) };
}

/** The bucket stands in the path where the server is not AWS, unless it is told otherwise, and where no certificate fits its name. */
export function objectUrl(source: S3Source, key: string): string {
  const { bucket, region, endpoint, forcePathStyle = endpoint !== undefined } = source;
  const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const url = new URL(endpoint ?? `https://s3.${region}.${suffix}`);
  const base = url.pathname.replace(/\/+$/, '');
  const inPath = forcePathStyle || bucket.includes('.') || isIP(url.hostname) !== 0;
  if (!inPath) url.hostname = `${bucket}.${url.hostname}`;
  url.pathname = `${base}${inPath ? `/${bucket}` : ''}/${key.split('/').map(encodeSegment).join('/')}`;
  return url.href;
}

/** Only letters, digits and -._~ stay: signatures are made over this form. */
function encodeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function accessOf({ region }: S3Source, keys: S3Keys | undefined): Access {
  if (keys === undefined) return { ...anonymous, explain };
  return {
    credentials: async (method, url) => {
      const { sessionToken, ...pair } = keys;
      const signer = new AwsV4Signer({
        ...pair,
        ...(sessionToken === undefined ? {} : { sessionToken }),
        method,
        url: url.href,
        service: 's3',
        region,
      });
      const { headers } = await signer.sign();
      return Object.fromEntries(headers);
    },
    explain,
  };
}

/** HEAD has no body, and then the status has to do. */
export function explain({ status, headers, body }: Refusal): Explanation {
  const code = textOfElement(body, 'Code');
  const region = headers['x-amz-bucket-region'] ?? textOfElement(body, 'Region');
  const said = [code, textOfElement(body, 'Message')].filter((part) => part !== undefined).join(': ');
  const elsewhere =
    region !== undefined && [301, 307, 400].includes(status)
      ? `the bucket is in region ${region}: set region`
      : '';
  const detail = [said, elsewhere].filter((part) => part !== '').join('; ');
  return {
    detail: detail === '' ? undefined : detail,
    ...(code !== undefined && credentialCodes.includes(code)
      ? { reason: 'SourceUnauthorized' as const }
      : {}),
  };
}

function textOfElement(xml: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
}
