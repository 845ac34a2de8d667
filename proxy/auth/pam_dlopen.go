package auth

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// The part of Linux-PAM's interface that is used here. It is declared here and
// looked up when a rule first names the method, so that neither building nor
// running pgherd needs PAM.
struct message { int style; const char *text; };
struct response { char *text; int unused; };
struct conversation { int (*talk)(int, const struct message **, struct response **, void *); void *password; };
enum { SUCCESS = 0, BUFFER = 5, CONVERSATION = 19, ECHO_OFF = 1, ERROR_TEXT = 3, INFO_TEXT = 4, REMOTE_HOST = 4, MOST = 32 };

static int (*pam_start)(const char *, const char *, const struct conversation *, void **);
static int (*pam_start_confdir)(const char *, const char *, const struct conversation *, const char *, void **);
static int (*pam_set_item)(void *, int, const void *);
static int (*pam_authenticate)(void *, int);
static int (*pam_acct_mgmt)(void *, int);
static int (*pam_end)(void *, int);
static const char *(*pam_strerror)(void *, int);

// find looks the functions up; what it returns is why it could not, or NULL.
static const char *find(void) {
	void *lib = dlopen("libpam.so.0", RTLD_NOW | RTLD_GLOBAL);
	if (!lib)
		return dlerror();
	*(void **)&pam_start = dlsym(lib, "pam_start");
	*(void **)&pam_start_confdir = dlsym(lib, "pam_start_confdir");
	*(void **)&pam_set_item = dlsym(lib, "pam_set_item");
	*(void **)&pam_authenticate = dlsym(lib, "pam_authenticate");
	*(void **)&pam_acct_mgmt = dlsym(lib, "pam_acct_mgmt");
	*(void **)&pam_end = dlsym(lib, "pam_end");
	*(void **)&pam_strerror = dlsym(lib, "pam_strerror");
	if (!pam_start || !pam_set_item || !pam_authenticate || !pam_acct_mgmt || !pam_end || !pam_strerror)
		return "libpam.so.0 lacks a function";
	return NULL;
}

// talk answers what a module asks: the password, and nothing else.
static int talk(int n, const struct message **asked, struct response **given, void *password) {
	if (n <= 0 || n > MOST)
		return CONVERSATION;
	struct response *r = calloc(n, sizeof *r);
	int err = r ? SUCCESS : BUFFER;
	for (int i = 0; i < n && err == SUCCESS; i++) {
		if (asked[i]->style == ECHO_OFF)
			err = (r[i].text = strdup(password)) ? SUCCESS : BUFFER;
		else if (asked[i]->style != ERROR_TEXT && asked[i]->style != INFO_TEXT)
			err = CONVERSATION;
	}
	if (err != SUCCESS && r) {
		for (int i = 0; i < n; i++)
			free(r[i].text);
		free(r);
		r = NULL;
	}
	*given = r;
	return err;
}

// judge runs the service's auth and account modules. step is how far it came.
static int judge(const char *service, const char *user, char *password, const char *remote, const char *dir,
		int *step, char *text, size_t room) {
	struct conversation c = {talk, password};
	void *handle = NULL;
	int err;
	*step = 0;
	if (*dir)
		err = pam_start_confdir ? pam_start_confdir(service, user, &c, dir, &handle) : CONVERSATION;
	else
		err = pam_start(service, user, &c, &handle);
	if (err == SUCCESS)
		err = pam_set_item(handle, REMOTE_HOST, remote);
	if (err == SUCCESS) {
		*step = 1;
		err = pam_authenticate(handle, 0);
	}
	if (err == SUCCESS) {
		*step = 2;
		err = pam_acct_mgmt(handle, 0);
	}
	if (err != SUCCESS) {
		const char *why = pam_strerror(handle, err);
		strncpy(text, why ? why : "unknown error", room - 1);
	}
	if (handle)
		pam_end(handle, err);
	return err;
}

static void wipe(char *s) {
	explicit_bzero(s, strlen(s));
	free(s);
}
*/
import "C"

import (
	"errors"
	"sync"
)

var loadPAM = sync.OnceValue(func() error {
	if why := C.find(); why != nil {
		return errors.New("PAM is not on this machine: " + C.GoString(why))
	}
	return nil
})

// pamSteps are what is done one after the other.
var pamSteps = [...]string{"begin with PAM", "pam_authenticate", "pam_acct_mgmt"}

// askPAM blocks for as long as the modules do.
func askPAM(q *pamQuestion) error {
	texts := [...]*C.char{C.CString(q.service), C.CString(q.user), C.CString(q.password), C.CString(q.remote), C.CString(q.configDir)}
	defer func() {
		for _, text := range texts {
			C.wipe(text)
		}
	}()
	var step C.int
	var why [200]C.char
	code := C.judge(texts[0], texts[1], texts[2], texts[3], texts[4], &step, &why[0], C.size_t(len(why)))
	if code == C.SUCCESS {
		return nil
	}
	return pamFailure(pamSteps[step], C.GoString(&why[0]), step > 0)
}
