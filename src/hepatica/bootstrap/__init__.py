"""The one place where adapters meet workflows. The environment is read here and nowhere else."""

from __future__ import annotations

from hepatica.bootstrap.clock import (
    SystemClock,
)
from hepatica.bootstrap.demo import (
    DemoAccounts,
    has_demo_record,
    make_demo_record,
    renew_demo_password,
)
from hepatica.bootstrap.followup import (
    make_endpoint_ports,
    make_followup_ports,
    make_procedure_ports,
    make_response_ports,
    make_response_report_writer,
)
from hepatica.bootstrap.people import (
    make_identity_provider,
)
from hepatica.bootstrap.planning import (
    DEMO_RATE_ML_PER_MIN,
    NUMERIC_LIBRARIES,
    make_credibility_card,
    make_demo_request,
    make_explanation_writers,
    make_plan_ports,
    make_track_ports,
    open_executor,
)
from hepatica.bootstrap.reading import (
    make_image_reader,
    make_label_reader,
    read_image,
    read_names,
    read_schema,
    read_segments,
)
from hepatica.bootstrap.record import (
    OpenRecord,
    back_up_record,
    make_record,
    migrate_record,
    open_record,
    restore_record,
    write_new_file,
)
from hepatica.bootstrap.reports import (
    make_report_ports,
)
from hepatica.bootstrap.scans import (
    make_pacs_directory,
    make_scan_ports,
)
from hepatica.bootstrap.serving import (
    answer_standing_apart,
    derive_trial_outcomes_apart,
    find_studies_apart,
    list_label_values_apart,
    list_plan_choices_apart,
    make_job_world,
    make_scan_importer,
    make_view_apart,
    make_view_ports,
    move_scan_apart,
    open_derived,
    read_site_needles,
    send_plan_apart,
    serving_alone,
    start_worker,
)
from hepatica.bootstrap.trials import (
    make_comparison_ports,
    make_trial_report_ports,
    open_checkpoint,
    read_dataset_rows,
    write_named_dataset,
)

__all__ = [
    "DEMO_RATE_ML_PER_MIN",
    "NUMERIC_LIBRARIES",
    "DemoAccounts",
    "OpenRecord",
    "SystemClock",
    "answer_standing_apart",
    "back_up_record",
    "derive_trial_outcomes_apart",
    "find_studies_apart",
    "has_demo_record",
    "list_label_values_apart",
    "list_plan_choices_apart",
    "make_comparison_ports",
    "make_credibility_card",
    "make_demo_record",
    "make_demo_request",
    "make_endpoint_ports",
    "make_explanation_writers",
    "make_followup_ports",
    "make_identity_provider",
    "make_image_reader",
    "make_job_world",
    "make_label_reader",
    "make_pacs_directory",
    "make_plan_ports",
    "make_procedure_ports",
    "make_record",
    "make_report_ports",
    "make_response_ports",
    "make_response_report_writer",
    "make_scan_importer",
    "make_scan_ports",
    "make_track_ports",
    "make_trial_report_ports",
    "make_view_apart",
    "make_view_ports",
    "migrate_record",
    "move_scan_apart",
    "open_checkpoint",
    "open_derived",
    "open_executor",
    "open_record",
    "read_dataset_rows",
    "read_image",
    "read_names",
    "read_schema",
    "read_segments",
    "read_site_needles",
    "renew_demo_password",
    "restore_record",
    "send_plan_apart",
    "serving_alone",
    "start_worker",
    "write_named_dataset",
    "write_new_file",
]
