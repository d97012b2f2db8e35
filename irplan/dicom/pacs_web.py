"""QIDO-RS, WADO-RS and STOW-RS through dicomweb-client."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pydicom.dataset import Dataset, FileDataset

from irplan.dicom.pacs_client import RETURNED, Level
from irplan.dicom.pacs_peer import WebNode
from irplan.dicom.reading import READ_ERRORS, quiet, text
from irplan.errors import MissingExtraError, PacsError

_T = TypeVar("_T")
_ANY = (("application/dicom", "*"),)
#: Answers of a server that may be other in a while.
_PASSING = (408, 425, 429, 500, 502, 503, 504)


class WebClient:
    """A `irplan.dicom.pacs_client.PacsClient` over DICOMweb."""

    def __init__(self, node: WebNode) -> None:
        try:
            import requests
            from dicomweb_client.api import DICOMwebClient
        except ImportError as error:
            raise MissingExtraError("DICOMweb", package="dicomweb-client", extra="pacs") from error
        logging.getLogger("dicomweb_client").setLevel(logging.CRITICAL)  # it logs UIDs and hosts
        session = requests.Session()
        session.trust_env = False  # no proxy, no .netrc: only what was asked for
        headers = {"Authorization": node.authorization} if node.authorization else None
        self._node, self._requests = node, requests
        self._client = DICOMwebClient(
            node.url, session=session, headers=headers, timeout=node.timeout_s
        )
        self._client.set_http_retry_params(retry=False)

    def check(self) -> None:
        """One study is asked for."""
        self._ask("QIDO-RS", lambda: self._client.search_for_studies(limit=1))

    def find(self, level: Level, filters: Mapping[str, str]) -> list[Dataset]:
        """QIDO-RS at ``level``; study and series UIDs go into the path."""
        rest = {k: v for k, v in filters.items() if v}
        study = rest.pop("StudyInstanceUID", None)
        series = rest.pop("SeriesInstanceUID", None)
        common: dict[str, Any] = {
            "fields": list(RETURNED[level]),
            "search_filters": rest,
            "get_remaining": False,
        }
        if level == "STUDY":
            if study:
                common["search_filters"] = {**rest, "StudyInstanceUID": study}
            call = partial(self._client.search_for_studies, **common)
        elif level == "SERIES":
            call = partial(self._client.search_for_series, study, **common)
        else:
            call = partial(self._client.search_for_instances, study, series, **common)
        with quiet():
            return self._ask("QIDO-RS", lambda: [Dataset.from_json(a) for a in call()])

    def get(self, instances: Sequence[Dataset]) -> Iterator[FileDataset]:
        """WADO-RS of one instance after the other, in the transfer syntax it is stored in."""
        for one in instances:
            uids = [
                text(one, k) for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
            ]
            yield self._ask(
                "WADO-RS", partial(self._client.retrieve_instance, *uids, media_types=_ANY)
            )

    def store(self, data: FileDataset) -> None:
        """STOW-RS of one object."""
        with quiet():
            answer = self._ask("STOW-RS", lambda: self._client.store_instances([data]))
        failed = answer.get("FailedSOPSequence")
        if failed:
            code = int(failed[0].get("FailureReason") or 0)
            raise PacsError(
                "STOW-RS",
                got=f"failure 0x{code:04X}",
                expected="the object stored",
                remedy="See the server's log for the reason.",
                passing=0xA700 <= code <= 0xA7FF,
            )

    def close(self) -> None:
        """End the session."""
        self._client._session.close()

    def _ask(self, what: str, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except self._requests.HTTPError as error:
            code = error.response.status_code if error.response is not None else 0
            known = {401: "not authorised", 403: "not allowed", 404: "not found", 413: "too large"}
            raise PacsError(
                what,
                got=f"HTTP {code} ({known.get(code, 'refused')})",
                expected="the answer of a DICOMweb server",
                remedy="Check the address (it ends above /studies) and the credentials.",
                passing=code in _PASSING,
            ) from error
        except (self._requests.RequestException, OSError) as error:
            if isinstance(error, ValueError):
                raise _no_dicomweb(what, error) from error
            raise PacsError(
                what,
                got=f"no connection ({type(error).__name__})",
                expected=f"a DICOMweb server at {self._node.url}",
                remedy="Check the address, and that the server runs.",
                passing=True,
            ) from error
        except (RuntimeError, *READ_ERRORS) as error:
            raise _no_dicomweb(what, error) from error


def _no_dicomweb(what: str, error: Exception) -> PacsError:
    return PacsError(
        what,
        got=f"an answer that is no DICOMweb ({type(error).__name__})",
        expected="DICOM objects or DICOM JSON",
        remedy="Check that the address is a DICOMweb service.",
    )
