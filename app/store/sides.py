"""Pure: one side's result as columns of `checks`, there and back."""

from collections.abc import Mapping
from typing import Any

from app.checked import SideResult
from app.model import Correction, Encryption, Fault, Protocol, SideStatus, Stage


def read_side(record: Mapping[str, Any], protocol: str, prefix: str) -> SideResult | None:
    """Read a side from a record whose columns bear `prefix`; None where it has not been recorded."""
    if record[f"{prefix}status"] is None:
        return None
    stage, encryption = record[f"{prefix}stage"], record[f"{prefix}encryption"]
    return SideResult(
        protocol=Protocol(protocol),
        status=SideStatus(record[f"{prefix}status"]),
        code=record[f"{prefix}code"],
        rule=record[f"{prefix}rule"],
        warning=record[f"{prefix}warning"],
        fault=Fault(record[f"{prefix}fault"]),
        is_retryable=record[f"{prefix}is_retryable"],
        stage=Stage(stage) if stage else None,
        reply=record[f"{prefix}reply"],
        remedy=record[f"{prefix}remedy"],
        host=record[f"{prefix}host"],
        port=record[f"{prefix}port"],
        encryption=Encryption(encryption) if encryption else None,
        address=record[f"{prefix}address"],
        tls_version=record[f"{prefix}tls_version"],
        certificate_names=tuple(record[f"{prefix}certificate_names"]),
        certificate_expires_at=record[f"{prefix}certificate_expires_at"],
        mechanism=record[f"{prefix}mechanism"],
        timings=record[f"{prefix}timings"],
        logins=record[f"{prefix}logins"],
        attempts=record[f"{prefix}attempts"],
        corrections=tuple(Correction(**correction) for correction in record[f"{prefix}corrections"]),
    )


def write_side(result: SideResult) -> dict[str, object]:
    """Return a side as the JSON record that `record_results` reads."""
    return {
        "protocol": result.protocol,
        "status": result.status,
        "code": result.code,
        "rule": result.rule,
        "warning": result.warning,
        "fault": result.fault,
        "is_retryable": result.is_retryable,
        "stage": result.stage or "",
        "reply": result.reply,
        "remedy": result.remedy,
        "host": result.host,
        "port": result.port,
        "encryption": result.encryption or "",
        "address": result.address,
        "tls_version": result.tls_version,
        "certificate_names": result.certificate_names,
        "certificate_expires_at": result.certificate_expires_at,
        "mechanism": result.mechanism,
        "timings": result.timings,
        "logins": result.logins,
        "attempts": result.attempts,
        "corrections": result.corrections,
    }
