/** Private keys that sign, and the records in the DNS that let others verify what they have signed. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

export type KeyType = 'rsa' | 'ed25519';

export interface SigningKey {
  readonly algorithm: 'rsa-sha256' | 'ed25519-sha256';
  readonly key: KeyObject;
}

/** RFC 8301 section 3.2: verifiers take no shorter ones. */
export const LEAST_RSA_BITS = 1024;
/** RFC 8301 section 3.2: verifiers need not take longer ones. */
export const MOST_RSA_BITS = 4096;
const NEW_RSA_BITS = 2048;
/** Of a string in the DNS (RFC 1035 section 3.3.14), in bytes. */
const MAX_STRING = 255;
/** Of the DER form of an Ed25519 key, before the 32 bytes of the key itself. */
const ED25519_PREFIX = 12;

/**
 * @param pem of PKCS #8 or PKCS #1, not encrypted
 * @returns the key, or what is wrong with it, in words that show nothing of it
 */
export function readSigningKey(pem: string): SigningKey | { readonly wrong: string } {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    return { wrong: 'is no private key in PEM form, or is encrypted' };
  }
  switch (key.asymmetricKeyType) {
    case 'rsa': {
      const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
      if (bits < LEAST_RSA_BITS) return { wrong: `has ${bits} bits: at least ${LEAST_RSA_BITS} are needed` };
      return { algorithm: 'rsa-sha256', key };
    }
    case 'ed25519':
      return { algorithm: 'ed25519-sha256', key };
    default:
      return { wrong: `is a key of type ${key.asymmetricKeyType}: RSA and Ed25519 sign mail` };
  }
}

/**
 * @param bits of an RSA key
 * @returns the private key as PEM (PKCS #8), and the text of its record in the DNS
 */
export function makeSigningKey(
  type: KeyType,
  bits: number = NEW_RSA_BITS,
): { readonly pem: string; readonly record: string } {
  const { privateKey } =
    type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: bits }) : generateKeyPairSync('ed25519');
  return {
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    record: keyRecord(privateKey),
  };
}

/** The text of the record `SELECTOR._domainkey.DOMAIN` of a private key (RFC 6376 section 3.6.1, RFC 8463 section 4). */
export function keyRecord(key: KeyObject): string {
  const type = key.asymmetricKeyType;
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const bytes = type === 'ed25519' ? der.subarray(ED25519_PREFIX) : der;
  return `v=DKIM1; k=${type}; p=${bytes.toString('base64')}`;
}

/** The strings of which a TXT record with a text consists. @param text in ASCII */
export function stringsOf(text: string): string[] {
  return text.match(new RegExp(`.{1,${MAX_STRING}}`, 'g')) ?? [];
}
