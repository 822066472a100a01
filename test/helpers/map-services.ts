/** A directory and two data bases for maps, each with the same few people. */
import type { ServicePlan } from './real-service.ts';

/** OpenLDAP under dc=example,dc=com: uid=anna with two addresses, uid=bert with one. */
export const SLAPD: ServicePlan = {
  command: (directory, port) => [
    'bash',
    '-c',
    `slapadd -f ${directory}/slapd.conf -l ${directory}/data.ldif && exec slapd -f ${directory}/slapd.conf -h ldap://127.0.0.1:${port} -d 0`,
  ],
  files: (directory) => ({
    'db/.keep': '',
    'slapd.conf': `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile ${directory}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
maxsize 10485760
suffix "dc=example,dc=com"
rootdn "cn=admin,dc=example,dc=com"
rootpw secret
directory ${directory}/db
index mail eq
access to * by * read
`,
    'data.ldif': `dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: uid=anna,dc=example,dc=com
objectClass: inetOrgPerson
uid: anna
cn: Anna
sn: Example
mail: anna@example.com
mail: sales@example.com

dn: uid=bert,dc=example,dc=com
objectClass: inetOrgPerson
uid: bert
cn: Bert (B*)
sn: Example
mail: bert@example.com
`,
  }),
  // An anonymous bind, and its answer.
  hello: '\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00',
  ready: /^0/,
};

const TABLE = `create table mailmap (k varchar(200) primary key, v varchar(200));
insert into mailmap values ('anna@example.com', 'OK'), ('bert@example.com', 'REJECT no'), ('o''brien@example.com', 'OK quoted');
`;

/** PostgreSQL with a table mailmap(k, v); user, password and data base are "mail". */
export const POSTGRES: ServicePlan = {
  command: (directory, port) => [
    'bash',
    '-c',
    `set -e
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
chown postgres ${directory}
as() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
as "$bin/initdb" -D ${directory}/data -U postgres --auth=trust --no-sync -E UTF8 --locale=C >/dev/null
echo 'host all all 127.0.0.1/32 scram-sha-256' >${directory}/data/pg_hba.conf
as "$bin/postgres" --single -D ${directory}/data postgres <${directory}/role.sql >/dev/null
as "$bin/postgres" --single -j -D ${directory}/data mail <${directory}/table.sql >/dev/null
exec setpriv --reuid=postgres --regid=postgres --init-groups "$bin/postgres" -D ${directory}/data -p ${port} \\
  -h 127.0.0.1 -k ${directory} -c fsync=off -c shared_buffers=16MB -c max_connections=20 -c logging_collector=off`,
  ],
  files: () => ({
    'role.sql': "create role mail login password 'mail';\ncreate database mail owner mail;\n",
    'table.sql': `${TABLE}grant all on mailmap to mail;\n`,
  }),
  // Whether it speaks TLS: no.
  hello: '\x00\x00\x00\x08\x04\xd2\x16\x2f',
  ready: /^N/,
};

/** MariaDB with the same table, user and password. */
export const MARIADB: ServicePlan = {
  command: (directory, port) => [
    'bash',
    '-c',
    `set -e
chown -R mysql ${directory}
mariadb-install-db --no-defaults --user=mysql --datadir=${directory}/data --skip-test-db --auth-root-authentication-method=normal >/dev/null
exec mariadbd --no-defaults --user=mysql --datadir=${directory}/data --port=${port} --bind-address=127.0.0.1 \\
  --socket=${directory}/socket --pid-file=${directory}/pid --innodb-buffer-pool-size=16M --init-file=${directory}/table.sql`,
  ],
  files: () => ({
    'table.sql': `create database mail;\nuse mail;\n${TABLE}create user 'mail'@'%' identified by 'mail';\ngrant all on mail.* to 'mail'@'%';\n`,
  }),
  hello: '',
  ready: /mysql_native_password|caching/,
};
