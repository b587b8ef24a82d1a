-- The last days of each metric against the days before them: the median, of rows that of the same
-- weekday, and how far days stray from it (median absolute deviation). What is judged is no part of
-- what it is judged by.
with

daily_metrics as (

    select
        *,
        extract(isodow from metric_date)::integer as iso_weekday,
        -- Of a young history only the last day, so that day 8 is judged by a week.
        metric_date > max(metric_date) over () - case
            when count(*) over (partition by model_name, metric) <= 14 then 1
            else {{ var('monitored_last_days') }}
        end as is_judged,
        -- Rows and amounts by their logarithm: a weekend strays by more rows than a Monday, and ten
        -- times as much is as odd as a tenth. Four rows more keep near what a few do by chance.
        case
            when metric = 'rows' then ln(metric_value + 4)
            when metric like 'median of %' then ln(greatest(metric_value, 0.01))
            else metric_value
        end as judged_value,
        case
            when metric = 'rows' then standard_error / (metric_value + 4)
            when metric like 'median of %' then standard_error / greatest(metric_value, 0.01)
            else standard_error
        end as judged_error
    from {{ ref('daily_metrics') }}

),

history as (

    select * from daily_metrics
    where not is_judged

),

by_metric as (

    select
        model_name,
        metric,
        count(*) as history_days,
        min(judged_value) as lowest,
        max(judged_value) as highest,
        percentile_cont(0.5) within group (order by judged_value) as median,
        percentile_cont(0.5) within group (order by judged_error) as standard_error
    from history
    group by model_name, metric

),

-- Four of a weekday are a basis; before, one week goes for all of it.
by_weekday as (

    select
        model_name,
        metric,
        iso_weekday,
        count(*) as history_days,
        percentile_cont(0.5) within group (order by judged_value) as median
    from history
    where metric = 'rows'
    group by model_name, metric, iso_weekday
    having count(*) >= 4

),

compared as (

    select
        daily_metrics.*,
        by_metric.history_days,
        by_metric.lowest,
        by_metric.highest,
        by_metric.standard_error as usual_error,
        by_weekday.median is not null as is_by_weekday,
        coalesce(by_weekday.history_days, by_metric.history_days) as median_days,
        coalesce(by_weekday.median, by_metric.median) as usual_value
    from daily_metrics
    inner join by_metric
        on
            daily_metrics.model_name = by_metric.model_name
            and daily_metrics.metric = by_metric.metric
    left join by_weekday
        on
            daily_metrics.model_name = by_weekday.model_name
            and daily_metrics.metric = by_weekday.metric
            and daily_metrics.iso_weekday = by_weekday.iso_weekday

),

deviations as (

    select
        model_name,
        metric,
        percentile_cont(0.5)
        within group (order by abs(judged_value - usual_value))
            as median_deviation
    from compared
    where not is_judged
    group by model_name, metric

),

scored as (

    select
        compared.*,
        case
            when compared.metric = 'rows' then round(exp(compared.usual_value)::numeric - 4, 6)
            when compared.metric like 'median of %'
                then round(exp(compared.usual_value)::numeric, 6)
            else compared.usual_value
        end::double precision as expected_value,
        -- 1.4826 makes a standard deviation of it, were it a normal distribution. No less than
        -- chance, 2 %, or one row of a share. A median of n days is off by itself, with a variance
        -- of pi / 2n of theirs, and is nearer to these n days than to another one: (n - 1) / n.
        (compared.judged_value - compared.usual_value) / greatest(
            1.4826 * deviations.median_deviation * sqrt(
                (1 + pi() / 2 / compared.median_days)
                * compared.median_days / greatest(compared.median_days - 1, 1)
            ),
            compared.usual_error,
            case
                when compared.metric = 'rows' or compared.metric like 'median of %' then 0.02
                else 1.0 / compared.row_count
            end
        ) as score
    from compared
    inner join deviations
        on compared.model_name = deviations.model_name and compared.metric = deviations.metric
    where compared.is_judged

),

final as (

    select
        -- strings
        model_name,
        metric,
        column_name,
        category,

        -- numerics
        row_count,
        history_days,
        metric_value,
        expected_value,
        score,

        -- booleans
        history_days >= {{ var('monitored_days_needed') }}
        and case
            when metric = 'rows'
                then
                    (
                        abs(score) > {{ var('monitoring_sensitivity') }}
                        and (
                            is_by_weekday
                            or judged_value not between lowest + ln(0.7) and highest + ln(1.4)
                        )
                    )
                    -- None where there always are some: so few that no score gets high.
                    or (metric_value = 0 and lowest > ln(4) and expected_value >= 10)
            -- Of these there are many: by chance one strays far now and then.
            else
                (abs(score) / 1.5 > {{ var('monitoring_sensitivity') }} and row_count >= 10)
                or (
                    metric like 'share of %'
                    and metric_value = 0
                    and lowest > 0
                    and expected_value * row_count >= 30
                )
        end as is_anomalous,

        -- dates
        metric_date
    from scored

)

select * from final
