/* SPDX-License-Identifier: MIT
 * neap.x509 in neap.tlscore: the classes of certificates, keys and requests. */
#ifndef NEAP_LUA_TLS_LX509_H
#define NEAP_LUA_TLS_LX509_H

#include "lua/tls/ltls.h"
#include "tls/x509.h"

/* Adds a table `x509` of functions to the table on top, and the classes. */
void ltls_open_x509(lua_State *L);

/* The object's own reference, for as long as it is on the stack. check raises
 * for another value, to gives NULL. */
struct x509_st *lx509_check(lua_State *L, int arg);
struct x509_st *lx509_to(lua_State *L, int at);
struct evp_pkey_st *lkey_check(lua_State *L, int arg);
struct evp_pkey_st *lkey_to(lua_State *L, int at);
struct X509_req_st *lreq_to(lua_State *L, int at);

/* Pushes an object that holds nothing yet: what is put there is its own. */
struct x509_st **lx509_new(lua_State *L);
struct evp_pkey_st **lkey_new(lua_State *L);
struct X509_req_st **lreq_new(lua_State *L);

/* ---- between the files ---- */

/* Pushes what gathers results, and frees them with itself. */
struct cert_out *lx509_out(lua_State *L);

/* Pushes nil, the message, the code. */
int lx509_fail(lua_State *L, const struct cert_out *o, int err);

/* Pushes what a function has put, as a string, a list of rows, or the table
 * that is the only row; or its failure. Returns the number of results. What
 * was put is freed. */
int lx509_bytes(lua_State *L, struct cert_out *o, int err);
int lx509_rows(lua_State *L, struct cert_out *o, int err);
int lx509_row(lua_State *L, struct cert_out *o, int err);

void lx509_openout(lua_State *L);
void lx509_openkey(lua_State *L);
void lx509_openreq(lua_State *L);

int lx509_make(lua_State *L); /* x509.make and its like */

#endif
